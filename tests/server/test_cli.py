# SPDX-License-Identifier: MIT
"""The command line: help, options, and one clear line for every mistake."""

from __future__ import annotations

import platform
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import cuvee
from tests.support.asgi import WAIT
from tests.support.server_process import APPLICATIONS, ServerProcess, get, serve_application

OPTIONS = {
    "--host": "127.0.0.1",
    "--port": "8000",
    "--uds": None,
    "--fd": None,
    "--backlog": "2048",
    "--log-level": "info",
    "--access-log": "on",
    "--no-access-log": None,
    "--use-colors": None,
    "--no-use-colors": None,
    "--lifespan": "auto",
    "--root-path": None,
    "--app-dir": None,
    "--factory": None,
    "--timeout-keep-alive": "5",
    "--timeout-head": "30",
    "--timeout-body": "60",
    "--timeout-unread-body": "5",
    "--timeout-write": "60",
    "--timeout-linger": "2",
    "--timeout-request": "never",
    "--timeout-graceful-shutdown": "never",
    "--limit-request-line": "16384",
    "--limit-request-head": "65536",
    "--limit-request-fields": "100",
    "--limit-request-body": "none",
    "--limit-body-rate": "240",
    "--limit-concurrency": "none",
    "--limit-requests": "none",
    "--limit-connections": "none",
    "--limit-connection-requests": "none",
    "--limit-read-buffer": "65536",
    "--limit-write-buffer": "65536",
    "--ws": "auto",
    "--ws-max-size": "16777216",
    "--ws-max-queue": "32",
    "--ws-ping-interval": "20.0",
    "--ws-ping-timeout": "20.0",
    "--ws-per-message-deflate": "on",
    "--ws-deflate-level": "3",
    "--ws-deflate-window": "12",
    "--ws-deflate-threshold": "128",
    "--ws-deflate-context": None,
    "--no-ws-deflate-context": None,
    "--ws-send-queue": "65536",
    "--ws-idle-timeout": None,
    "--ws-close-timeout": "10",
    "--limit-websockets": "none",
    "--gc-freeze": "on",
    "--no-gc-freeze": None,
    "--version": None,
    "--help": None,
}


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "cuvee", *arguments],
        capture_output=True,
        text=True,
        timeout=WAIT,
        cwd=APPLICATIONS,
    )


def test_help_shows_every_option_with_its_default() -> None:
    done = command("--help")
    assert done.returncode == 0
    assert not done.stderr
    text = " ".join(done.stdout.split())
    for option, default in OPTIONS.items():
        assert f"{option} " in text or f"{option}," in text
        if default is not None:
            description = text.partition(f"{option} ")[2] or text.partition(f"{option},")[2]
            assert f"[default: {default}]" in description.partition(" --timeout")[0]


def test_version_says_what_a_bug_report_needs() -> None:
    done = command("--version")
    assert done.stdout == (
        f"Running cuvee {cuvee.__version__} with CPython {platform.python_version()}"
        f" on {platform.system()}\n"
    )
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "missing argument APP, for example main:app (cuvee --help shows all options)"),
        (["applications:hello", "more"], "unexpected argument 'more' after APP"),
        (["applications:hello", "--prot", "1"], "no such option: '--prot'. Did you mean '--port'?"),
        (["--prot=1", "applications:hello"], "no such option: '--prot'. Did you mean '--port'?"),
        (["a:b", "--lifspan", "on"], "no such option: '--lifspan'. Did you mean '--lifespan'?"),
        (["a:b", "--xyzzy"], "no such option: '--xyzzy'. cuvee --help shows all options."),
        (["a:b", "-p", "1"], "no such option: '-p'. cuvee --help shows all options."),
        (
            ["a:b", "--port", "http"],
            "--port must be a whole number between 0 and 65535, not 'http'",
        ),
        (
            ["a:b", "--port", "65536"],
            "--port must be a whole number between 0 and 65535, not '65536'",
        ),
        (["a:b", "--port", "-1"], "--port must be a whole number between 0 and 65535, not '-1'"),
        (["a:b", "--port"], "--port: expected one argument"),
        (["a:b", "--fd", "x"], "--fd must be a whole number between 0 and 2147483647, not 'x'"),
        (
            ["a:b", "--backlog", "x"],
            "--backlog must be a whole number between 0 and 2147483647, not 'x'",
        ),
        (
            ["a:b", "--timeout-keep-alive", "soon"],
            "--timeout-keep-alive must be a number of seconds, not 'soon'",
        ),
        (
            ["a:b", "--timeout-graceful-shutdown", "-1"],
            "--timeout-graceful-shutdown must be a number of seconds, not '-1'",
        ),
        (
            ["a:b", "--timeout-head", "nan"],
            "--timeout-head must be a number of seconds, not 'nan'",
        ),
        (
            ["a:b", "--on-disconnect", "cancel:soon"],
            "--on-disconnect must be notify, cancel or cancel:SECONDS, not 'cancel:soon'",
        ),
        (
            ["a:b", "--tcp-keepalive", "40000"],
            "--tcp-keepalive must be a whole number between 0 and 32767, not '40000'",
        ),
        (
            ["a:b", "--tcp-user-timeout", "-1"],
            "--tcp-user-timeout must be a number of seconds up to 2147483, not '-1'",
        ),
    ],
)
def test_bad_option_is_one_line_and_exit_code_2(arguments: list[str], message: str) -> None:
    done = command(*arguments)
    assert done.stderr == f"cuvee: error: {message}\n"
    assert done.stdout == ""
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("option", "least", "most"),
    [
        ("--limit-request-line", 1, 2**30),
        ("--limit-request-head", 1, 2**30),
        ("--limit-request-fields", 1, 256),
        ("--limit-request-body", 0, 2**53),
        ("--limit-body-rate", 0, 2**30),
        ("--limit-concurrency", 1, 2**30),
        ("--limit-requests", 1, 2**30),
        ("--limit-connections", 1, 2**30),
        ("--limit-connection-requests", 1, 2**30),
        ("--limit-read-buffer", 1, 2**30),
        ("--limit-write-buffer", 1, 2**30),
    ],
)
def test_bad_limit_is_one_line_and_exit_code_2(option: str, least: int, most: int) -> None:
    for value in (str(least - 1), str(most + 1), "64K"):
        done = command("a:b", option, value)
        assert done.stderr == (
            f"cuvee: error: {option} must be a whole number between {least} and {most}, "
            f"not {value!r}\n"
        )
        assert (done.stdout, done.returncode) == ("", 2)


@pytest.mark.parametrize(
    "option",
    [
        "--timeout-body",
        "--timeout-unread-body",
        "--timeout-write",
        "--timeout-linger",
        "--timeout-request",
    ],
)
def test_bad_timeout_is_one_line_and_exit_code_2(option: str) -> None:
    for value in ("-1", "soon"):
        done = command("a:b", option, value)
        assert done.stderr == (
            f"cuvee: error: {option} must be a number of seconds, not {value!r}\n"
        )
        assert (done.stdout, done.returncode) == ("", 2)


@pytest.mark.parametrize(
    ("option", "values"),
    [
        ("--log-level", "critical, error, warning, info, debug, trace"),
        ("--lifespan", "auto, on, off"),
        ("--cancel-methods", "all, safe"),
    ],
)
def test_bad_choice_names_the_possible_ones(option: str, values: str) -> None:
    done = command("applications:hello", option, "loud")
    assert done.stderr == f"cuvee: error: {option} must be one of {values}, not 'loud'\n"
    assert done.returncode == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["applications"],
            'Error loading ASGI app. Import string "applications" must be in format '
            '"<module>:<attribute>".',
        ),
        (
            [":hello"],
            'Error loading ASGI app. Import string ":hello" must be in format '
            '"<module>:<attribute>".',
        ),
        (["nowhere:app"], 'Error loading ASGI app. Could not import module "nowhere".'),
        (
            ["nowhere.at.all:app"],
            'Error loading ASGI app. Could not import module "nowhere.at.all".',
        ),
        ([".relative:app"], 'Error loading ASGI app. Could not import module ".relative".'),
        (
            ["applications:goodbye"],
            'Error loading ASGI app. Attribute "goodbye" not found in module "applications".',
        ),
        (
            ["applications:hello.inner"],
            'Error loading ASGI app. Attribute "hello.inner" not found in module "applications".',
        ),
        (["applications:number"], 'Error loading ASGI app. "applications:number" is not callable.'),
        (
            ["applications:factory_with_argument", "--factory"],
            "Error loading ASGI app factory: factory_with_argument() missing 1 required "
            "positional argument: 'name'",
        ),
    ],
)
def test_app_that_cannot_be_loaded_is_one_line_and_exit_code_3(
    arguments: list[str], message: str
) -> None:
    done = command(*arguments)
    assert done.stderr == f"ERROR:    {message}\n"
    assert done.returncode == 3


def test_failing_module_shows_its_own_traceback_only(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("import not_there_at_all\n")
    done = command("broken:app", "--app-dir", str(tmp_path))
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].startswith(f'  File "{tmp_path / "broken.py"}", line 1')
    assert lines[-1] == "ModuleNotFoundError: No module named 'not_there_at_all'"


def test_failing_factory_shows_its_own_traceback_only() -> None:
    done = command("applications:failing_factory", "--factory")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert 'applications.py", line' in lines[1]
    assert lines[-1] == "LookupError: no settings"


def test_factory_flag_calls_the_factory() -> None:
    with serve_application("factory", "--factory") as server, server.connect() as client:
        assert get(client) == b"hello"
        assert server.stop() == 0
        assert not any("factory" in line for line in server.errors())


def test_factory_without_the_flag_is_used_with_a_warning() -> None:
    with serve_application("factory") as server, server.connect() as client:
        assert get(client) == b"hello"
        assert server.stderr.lines[0] == (
            "WARNING:  ASGI app factory detected. Using it, "
            "but please consider setting the --factory flag explicitly."
        )


def test_current_directory_is_searched_for_the_app() -> None:
    with (
        ServerProcess("applications:hello", "--port", "0", cwd=APPLICATIONS) as server,
        server.connect() as client,
    ):
        assert get(client) == b"hello"


def test_a_server_says_what_uvicorn_says() -> None:
    with serve_application("hello") as server:
        port = server.wait_until_running()
        pid = server.process.pid
        assert server.stop() == 0
        assert server.errors() == [
            f"INFO:     Started server process [{pid}]",
            "INFO:     Waiting for application startup.",
            "INFO:     Application startup complete.",
            f"INFO:     Cuvee running on http://127.0.0.1:{port} (Press CTRL+C to quit)",
            "INFO:     Shutting down",
            "INFO:     Waiting for application shutdown.",
            "INFO:     Application shutdown complete.",
            f"INFO:     Finished server process [{pid}]",
        ]


def test_access_log_is_on_standard_output_in_uvicorns_format() -> None:
    with serve_application("hello") as server, server.connect() as client:
        host, port = client.getsockname()
        get(client, "/some/path?with=query")
        assert server.stop() == 0
        assert server.output() == [
            f'INFO:     {host}:{port} - "GET /some/path?with=query HTTP/1.1" 200 OK'
        ]


def test_access_log_can_be_switched_off() -> None:
    with serve_application("hello", "--no-access-log") as server, server.connect() as client:
        get(client)
        assert server.stop() == 0
        assert server.output() == []


def test_colors_can_be_switched_on() -> None:
    with serve_application("hello", "--use-colors") as server, server.connect() as client:
        get(client)
        assert server.stop() == 0
        assert server.errors()[0].startswith("\x1b[32mINFO\x1b[0m:     Started server process [")
        (line,) = server.output()
        assert line.startswith("\x1b[32mINFO\x1b[0m:     127.0.0.1:")
        assert line.endswith("\x1b[32m200 OK\x1b[0m")
        assert '"\x1b[1mGET / HTTP/1.1\x1b[0m"' in line


def test_log_level_hides_what_is_less_severe() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        fd = listener.fileno()
        arguments = ("--log-level", "warning", "--fd", str(fd))
        with (
            serve_application("hello", *arguments, pass_fds=(fd,)) as server,
            socket.create_connection(listener.getsockname(), WAIT) as client,
        ):
            assert get(client) == b"hello"
            assert server.stop() == 0
            assert server.errors() == []
            assert server.output() == []


def test_log_level_trace_shows_the_messages() -> None:
    with serve_application("hello", "--log-level", "trace") as server, server.connect() as client:
        get(client)
        sent = server.stderr.expect("Send {'type': 'http.response.body'")
        assert sent.startswith("TRACE:    127.0.0.1:")
        assert "'body': '<5 bytes>'" in sent
        server.stderr.expect("Receive {'type': 'lifespan.startup'}")


@pytest.mark.parametrize("host", ["::1", "localhost"])
def test_host_may_be_ipv6_or_a_name(host: str) -> None:
    if host == "::1" and not _has_ipv6():
        pytest.skip("this machine has no ::1")
    with serve_application("hello", "--host", host) as server:
        port = server.wait_until_running()
        where = f"[{host}]" if ":" in host else host
        assert f"http://{where}:{port} " in server.stderr.expect("Cuvee running on")
        for family, _, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            if family == socket.AF_INET6 and not _has_ipv6():
                continue
            with socket.socket(family) as client:
                client.settimeout(WAIT)
                client.connect(address)
                assert get(client) == b"hello"


def _has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


def test_root_path_is_in_front_of_the_path() -> None:
    with (
        serve_application("echo_path", "--root-path", "/api") as server,
        server.connect() as client,
    ):
        assert get(client, "/items") == b"/api|/api/items"


def test_limits_reach_the_server() -> None:
    limits = ("--limit-request-line", "40", "--timeout-request", "60", "--limit-body-rate", "100")
    with serve_application("hello", *limits) as server:
        with server.connect() as client:
            assert get(client) == b"hello"
        with server.connect() as client:
            client.sendall(b"GET /" + b"a" * 40 + b" HTTP/1.1\r\nHost: h\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 414 ")
        server.stderr.expect("(request line longer than --limit-request-line)")


def test_requests_are_cancelled_and_written_down() -> None:
    options = ("--on-disconnect", "cancel:0.1", "--cancel-methods", "safe")
    with serve_application("waiting", *options) as server:
        for method in ("POST", "GET"):
            with server.connect() as client:
                client.sendall(f"{method} / HTTP/1.1\r\nHost: h\r\n\r\n".encode())
                server.stderr.expect(f"waiting {method}")
            assert server.stdout is not None
            line = server.stdout.expect(f'"{method} / HTTP/1.1"')
            assert line.endswith(f'"{method} / HTTP/1.1" 499 ')
        server.stderr.expect("cancelled GET")
        assert "cancelled POST" not in server.stderr.lines


def test_importing_cuvee_does_not_import_asyncio() -> None:
    code = "import sys, cuvee; print('asyncio' in sys.modules, 'cuvee.server' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=WAIT, check=True
    )
    assert done.stdout == "False False\n"


def test_every_public_name_can_be_imported() -> None:
    for name in cuvee.__all__:
        assert getattr(cuvee, name) is not None
        assert name in dir(cuvee)
    with pytest.raises(AttributeError, match="no attribute 'goodbye'"):
        _ = cuvee.goodbye  # type: ignore[attr-defined]
