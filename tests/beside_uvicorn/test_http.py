# SPDX-License-Identifier: MIT
"""What clients, applications and logs see of a request is the same as with uvicorn, or is listed here."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.beside_uvicorn.both import NAMES, Answer, Conversation, running
from tests.support.measured import ROOT

Pair = tuple[Conversation, Conversation]


def request(target: str, *fields: str, method: str = "GET", body: bytes = b"") -> bytes:
    """A request that is the last one of its connection."""
    lines = [f"{method} {target} HTTP/1.1", "Host: example.org", *fields, "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


SAME = {
    "a request": request("/echo"),
    "path, query and escapes": request("/a%20b/%C3%A9/%2F;x=1?q=%20&r=\xe9"),
    "an absolute target": request("http://example.org/a%20b?q=1"),
    "fields in order, doubled, odd": request(
        "/echo", "X-One: 1", "x-two:2", "X-ONE:   3", "X-Latin: caf\xe9", "X-Empty:"
    ),
    "a body": request("/echo", "Content-Length: 5", method="POST", body=b"12345"),
    "a body in chunks": request(
        "/echo",
        "Transfer-Encoding: chunked",
        method="PUT",
        body=b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n",
    ),
    "an expectation": request(
        "/early", "Expect: 100-continue", "Content-Length: 3", method="POST", body=b"abc"
    ),
    "another method": request("/echo", method="PROPFIND"),
    "HEAD": request("/echo", method="HEAD"),
    "OPTIONS of everything": request("*", method="OPTIONS"),
    "a streamed answer": request("/streamed"),
    "HEAD of a streamed answer": request("/streamed", method="HEAD"),
    "fields of the answer": request("/fields"),
    "another status": request("/created"),
    "a status with a phrase": request("/teapot"),
    "a status without one": request("/unknown"),
    "an answer without a body": request("/no_content"),
    "an answer that ends the connection": request("/closes"),
    "an exception": request("/raises"),
    "an exception in the middle": request("/raises_late"),
    "no answer": request("/silent"),
    "half an answer": request("/unfinished"),
    "a body before its start": request("/body_first"),
    "an answer that goes on": request("/goes_on"),
    "less than was promised": request("/too_short"),
    "what comes behind the answer": request("/disconnected"),
    "a line of the application": request("/logs"),
    "a request's context": request("/context"),
    "two in a row": request("/echo").replace(b"Connection: close\r\n", b"") + request("/teapot"),
    "an upgrade that nobody takes": request("/echo", "Upgrade: h9"),
    "what a proxy tells": request(
        "/echo", "X-Forwarded-For: 6.6.6.6, 1.2.3.4:56", "X-Forwarded-Proto: https"
    ),
    "what proxies tell": request("/echo", "X-Forwarded-For: [2001:db8::1]", "X-Forwarded-For: ::1"),
    "no HTTP at all": b"hello\r\n\r\n",
    "a length that is none": request("/echo", "Content-Length: x"),
    "a length and chunks": request("/echo", "Content-Length: 1", "Transfer-Encoding: chunked"),
}
"""Cases in which both servers are the same to everybody."""

REASONS = {
    "no HTTP at all": "Invalid HTTP request received.",
    "a length that is none": "Invalid HTTP request received.",
    "a length and chunks": "Invalid HTTP request received.",
}
"""Where cuvee's line goes on in parentheses with the rule."""


DIFFERENT = {
    "`server` field": request("/fields"),
    "answer in one piece without a length": request("/whole"),
    "`date`, `server` set by the application": request("/own_server"),
    "Host missing, repeated or malformed": b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
    "large head, many fields": request("/echo", *(f"X-{number}: x" for number in range(120))),
    "unknown method, unknown coding, other version": request("/echo", method="BREW"),
    "reason of a refused request": b"hello\r\n\r\n",
    "body without a length to HTTP/1.0": b"GET /streamed HTTP/1.0\r\n\r\n",
    "304 with `content-length` and no body": request("/not_modified"),
    "body longer than its `content-length`": request("/too_long"),
    "204 or 304 with a body": request("/no_content_with_body"),
    "205 with a body": request("/reset_content"),
    "`extensions` on HTTP/1.1": request("/extensions"),
    "invalid response field": request("/invalid_field"),
    "value returned after a complete answer": request("/returns")[:-23]
    + b"\r\n"
    + request("/echo"),
    "`X-Forwarded-For` with text that is no address": request(
        "/echo", "X-Forwarded-For: me, myself"
    ),
    "blanks behind a field's value": request("/echo", "X-Blanks: 3  "),
    "path that is no UTF-8, in the access log": request("/%FF%FE"),
}
"""Rows of the table of differences in docs/behaviour.md, and a request that shows each."""


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Both servers, for all cases."""
    with ExitStack() as stack:
        first, second = (Conversation(stack.enter_context(running(name))) for name in NAMES)
        yield first, second


def without_rules(lines: list[str]) -> list[str]:
    """Cut what cuvee alone says of a refused request."""
    return [
        line.partition(" (")[0] if "Invalid HTTP request received." in line else line
        for line in lines
    ]


@pytest.mark.parametrize("case", SAME)
def test_what_is_seen_of_a_request_is_the_same(pair: Pair, case: str) -> None:
    answers = [one.exchange(SAME[case]) for one in pair]
    theirs, ours = ([_without_ports(answer) for answer in seen] for seen in answers)
    assert [answer[:-1] for answer in ours] == [answer[:-1] for answer in theirs]
    lines = [one.lines() for one in pair]
    assert lines[1][0] == lines[0][0]
    assert without_rules(lines[1][1]) == lines[0][1]
    if case in REASONS:
        assert lines[1][1] != lines[0][1]


@pytest.mark.parametrize("row", DIFFERENT)
def test_what_is_listed_as_different_is_different(pair: Pair, row: str) -> None:
    theirs, ours = (
        (str([_without_ports(answer) for answer in one.exchange(DIFFERENT[row])]), one.lines())
        for one in pair
    )
    if row == "`server` field":
        assert all("'server'" in seen for seen, _ in (theirs, ours))
        return
    assert ours != theirs


def test_every_difference_is_documented() -> None:
    text = (ROOT / "docs" / "behaviour.md").read_text().partition("## Differences from uvicorn")[2]
    rows = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    for row in DIFFERENT:
        assert any(row in documented for documented in rows), row


def _without_ports(answer: Answer) -> Answer:
    """Leave out the numbers that differ from client to client, if the body is a scope."""
    body = re.sub(rb'"(client|server)": \["127.0.0.1", \d+\]', rb'"\1": []', answer.body)
    return answer._replace(body=body)
