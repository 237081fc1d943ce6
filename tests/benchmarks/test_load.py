# SPDX-License-Identifier: MIT
"""What the load generators say is read right, and what went wrong in them is not overlooked."""

from __future__ import annotations

import pytest

from benchmarks import load
from benchmarks.works import WORKS

WRK = """Running 1s test @ http://127.0.0.1:1/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.38ms    1.61ms   8.97ms   83.62%
    Req/Sec    68.10k     2.00k   70.00k    80.00%
  Latency Distribution
     50%  485.00us
     75%    1.90ms
     90%    3.20ms
     99%    1.02s
  68668 requests in 1.01s, 8.51MB read
Requests/sec:  67988.10
Transfer/sec:      8.43MB
"""
H2LOAD = """finished in 2.00s, 61071.50 req/s, 7.57MB/s
requests: 100 total, 100 started, 100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 100 2xx, 0 3xx, 0 4xx, 0 5xx
"""


def test_wrk_is_read() -> None:
    count, per_second, latency = load.parse_wrk(WRK)
    assert (count, per_second) == (68668, 67988.1)
    assert latency == {"p50_us": 485, "p90_us": 3200, "p99_us": 1_020_000, "max_us": 8970}


@pytest.mark.parametrize(
    "line",
    [
        "  Socket errors: connect 0, read 3, write 0, timeout 0",
        "  Non-2xx or 3xx responses: 7",
    ],
)
def test_an_error_that_wrk_counted_is_raised(line: str) -> None:
    with pytest.raises(load.LoadError, match=line.strip()):
        load.parse_wrk(WRK + line + "\n")


def test_h2load_is_read() -> None:
    assert load.parse_h2load(H2LOAD) == (100, 61071.5)


@pytest.mark.parametrize(
    ("was", "is_"),
    [
        ("100 succeeded, 0 failed", "99 succeeded, 1 failed"),
        ("0 errored", "1 errored"),
        ("100 done, 100 succeeded", "0 done, 0 succeeded"),
    ],
)
def test_an_error_that_h2load_counted_is_raised(was: str, is_: str) -> None:
    with pytest.raises(load.LoadError, match=is_):
        load.parse_h2load(H2LOAD.replace(was, is_))


def test_latencies_are_percentiles_of_the_third_column() -> None:
    log = "".join(f"17954909{number}\t200\t{number}\n" for number in reversed(range(100)))
    assert load.read_latencies(log) == {"p50_us": 50, "p90_us": 90, "p99_us": 99, "max_us": 99}


def test_a_script_repeats_the_body() -> None:
    script = load.lua(WORKS["echo"])
    assert 'wrk.method = "POST"' in script
    assert 'wrk.body = string.rep("x", 10240)' in script


def test_a_script_quotes_what_it_sends() -> None:
    script = load.lua(WORKS["fastapi-validated"])
    assert 'wrk.headers["Content-Type"] = "application/json"' in script
    assert '"{\\"id\\":1,' in script


def test_a_script_joins_pipelined_requests() -> None:
    assert "string.rep(wrk.format(), 16)" in load.lua(WORKS["pipelined"])
