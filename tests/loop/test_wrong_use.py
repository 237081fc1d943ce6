# SPDX-License-Identifier: MIT
"""Every method of a loop called wrongly, and on a closed loop: what asyncio's own raises is raised."""

from __future__ import annotations

import asyncio
import inspect
import re
import signal
import socket
import ssl
import warnings
from collections.abc import Iterator
from typing import IO, Any, NamedTuple, TypeVar

import pytest

import cuvee
from tests.loop.conftest import MakeLoop
from tests.loop.support import WAIT
from tests.loop.test_interface import METHODS

F = TypeVar("F")
P = asyncio.Protocol
SP = asyncio.SubprocessProtocol
DP = asyncio.DatagramProtocol
NOTHING: dict[str, Any] = {}


class Thing:
    """Something that no method can use."""

    def __repr__(self) -> str:
        return "<thing>"


THING = Thing()


async def coroutine() -> None:
    """Be a coroutine function, where a callback is wanted."""


class Call(NamedTuple):
    """A method and what it is given; a function makes what only an open loop or socket can."""

    method: str
    args: tuple[Any, ...] = ()
    keywords: dict[str, Any] = NOTHING

    def __str__(self) -> str:
        words = [getattr(arg, "__name__", repr(arg)) for arg in self.args]
        words += [f"{name}={value!r}" for name, value in self.keywords.items()]
        return f"{self.method}({', '.join(words)})"


def tcp() -> socket.socket:
    """A socket for TCP."""
    return closing(socket.socket())


def udp() -> socket.socket:
    """A socket for datagrams."""
    return closing(socket.socket(type=socket.SOCK_DGRAM))


def unix() -> socket.socket:
    """A Unix socket for datagrams."""
    return closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))


def a_file() -> IO[bytes]:
    """A regular file, which is no pipe."""
    return closing(open(__file__, "rb"))  # noqa: SIM115


OPENED: list[Any] = []


def closing(file: F) -> F:
    """Close a file or socket after the test."""
    if isinstance(file, socket.socket):
        file.setblocking(False)
    OPENED.append(file)
    return file


def made(value: Any) -> Any:
    """What a table's entry stands for."""
    return value() if value in (tcp, udp, unix, a_file) else value


WRONG = [
    Call("add_reader", (-1, print)),
    Call("add_reader", ("x", print)),
    Call("add_reader", (THING, print)),
    Call("add_reader", (1.5, print)),
    Call("add_writer", (-1, print)),
    Call("add_writer", (None, print)),
    Call("remove_reader", (-1,)),
    Call("remove_reader", (THING,)),
    Call("remove_writer", (-1,)),
    Call("remove_writer", (THING,)),
    Call("add_signal_handler", ("x", print)),
    Call("add_signal_handler", (0, print)),
    Call("add_signal_handler", (1000, print)),
    Call("add_signal_handler", (signal.SIGKILL, print)),
    Call("add_signal_handler", (signal.SIGUSR1, coroutine)),
    Call("remove_signal_handler", ("x",)),
    Call("remove_signal_handler", (1000,)),
    Call("remove_signal_handler", (signal.SIGUSR1,)),
    Call("call_at", (None, print)),
    Call("call_later", (None, print)),
    Call("call_soon", (print,), {"context": THING}),
    Call("call_soon_threadsafe", (print,), {"context": THING}),
    Call("call_exception_handler", ({},)),
    Call("call_exception_handler", ({"message": THING},)),
    Call("default_exception_handler", (THING,)),
    Call("set_exception_handler", (1,)),
    Call("set_exception_handler", (THING,)),
    Call("set_task_factory", (1,)),
    Call("set_task_factory", (THING,)),
    Call("set_default_executor", (THING,)),
    Call("set_default_executor", (None,)),
    Call("run_in_executor", (THING, print)),
    Call("create_task", (THING,)),
    Call("create_task", (coroutine,)),
    Call("create_future", (1,)),
    Call("run_until_complete", (THING,)),
    Call("run_until_complete", (None,)),
    Call("getaddrinfo", (THING, 80)),
    Call("getaddrinfo", ("127.0.0.1", THING)),
    Call("getaddrinfo", ("127.0.0.1", 80), {"family": "x"}),
    Call("getaddrinfo", ("127.0.0.1", 80), {"family": 9999}),
    Call("getnameinfo", (THING,)),
    Call("getnameinfo", (("127.0.0.1", "80"),)),
    Call("create_connection", (P,)),
    Call("create_connection", (P, "127.0.0.1", 80), {"sock": tcp}),
    Call("create_connection", (P, "127.0.0.1", 80), {"server_hostname": "x"}),
    Call("create_connection", (P, "127.0.0.1", 80), {"ssl_handshake_timeout": 1}),
    Call("create_connection", (P, "127.0.0.1", 80), {"ssl_shutdown_timeout": 1}),
    Call("create_connection", (P,), {"ssl": True, "sock": tcp}),
    Call("create_connection", (P,), {"sock": udp}),
    Call("create_connection", (P, "127.0.0.1", 80), {"local_addr": ("x", "y", "z")}),
    Call("create_server", (P,)),
    Call("create_server", (P, "127.0.0.1", 0), {"sock": tcp}),
    Call("create_server", (P, "127.0.0.1", 0), {"ssl": True}),
    Call("create_server", (P, "127.0.0.1", 0), {"ssl": THING}),
    Call("create_server", (P, "127.0.0.1", 0), {"ssl_handshake_timeout": 1}),
    Call("create_server", (P, "127.0.0.1", 0), {"ssl_shutdown_timeout": 1}),
    Call("create_server", (P,), {"sock": udp}),
    Call("create_server", (P, "192.0.2.1", 0)),
    Call("create_server", (P, "127.0.0.1", 99999)),
    Call("create_unix_connection", (P,)),
    Call("create_unix_connection", (P, "/x"), {"sock": tcp}),
    Call("create_unix_connection", (P, "/x"), {"ssl": True}),
    Call("create_unix_connection", (P, "/x"), {"server_hostname": "x"}),
    Call("create_unix_connection", (P, "/x"), {"ssl_handshake_timeout": 1}),
    Call("create_unix_connection", (P,), {"sock": tcp}),
    Call("create_unix_connection", (P,), {"sock": unix}),
    Call("create_unix_connection", (P, "/nonexistent/socket")),
    Call("create_unix_server", (P,)),
    Call("create_unix_server", (P, "/x"), {"sock": tcp}),
    Call("create_unix_server", (P, "/x"), {"ssl": True}),
    Call("create_unix_server", (P, "/x"), {"ssl_handshake_timeout": 1}),
    Call("create_unix_server", (P,), {"sock": tcp}),
    Call("create_unix_server", (P,), {"sock": unix}),
    Call("create_unix_server", (P, "/nonexistent/socket")),
    Call("connect_accepted_socket", (P, udp)),
    Call("connect_accepted_socket", (P, tcp), {"ssl": THING}),
    Call("connect_accepted_socket", (P, tcp), {"ssl_handshake_timeout": 1}),
    Call("connect_accepted_socket", (P, tcp), {"ssl_shutdown_timeout": 1}),
    Call("create_datagram_endpoint", (DP,)),
    Call("create_datagram_endpoint", (DP,), {"sock": tcp}),
    Call("create_datagram_endpoint", (DP,), {"sock": udp, "local_addr": ("127.0.0.1", 0)}),
    Call("create_datagram_endpoint", (DP,), {"local_addr": "127.0.0.1"}),
    Call("create_datagram_endpoint", (DP,), {"local_addr": ("127.0.0.1",)}),
    Call("create_datagram_endpoint", (DP,), {"local_addr": 1, "family": socket.AF_UNIX}),
    Call("start_tls", (THING, P, None)),
    Call("start_tls", (THING, P, ssl.create_default_context())),
    Call("sendfile", (THING, THING)),
    Call("sock_sendfile", (tcp, THING)),
    Call("sock_sendfile", (udp, THING)),
    Call("sock_recv", (THING, 10)),
    Call("sock_recv", (tcp, "x")),
    Call("sock_recv", (udp, -1)),
    Call("sock_recv_into", (THING, bytearray(1))),
    Call("sock_recv_into", (udp, b"read only")),
    Call("sock_recvfrom", (THING, 10)),
    Call("sock_recvfrom", (udp, "x")),
    Call("sock_recvfrom_into", (THING, bytearray(1))),
    Call("sock_recvfrom_into", (udp, b"read only")),
    Call("sock_recvfrom_into", (udp, bytearray(1), 10)),
    Call("sock_sendto", (THING, b"x", ("127.0.0.1", 1))),
    Call("sock_sendto", (udp, "text", ("127.0.0.1", 1))),
    Call("sock_sendto", (udp, b"x", "address")),
    Call("sock_sendall", (THING, b"x")),
    Call("sock_sendall", (tcp, "text")),
    Call("sock_connect", (THING, ("127.0.0.1", 1))),
    Call("sock_connect", (udp, "address")),
    Call("sock_accept", (THING,)),
    Call("sock_accept", (tcp,)),
    Call("connect_read_pipe", (P, a_file)),
    Call("connect_write_pipe", (P, a_file)),
    Call("subprocess_shell", (SP, 1)),
    Call("subprocess_shell", (SP, "true"), {"universal_newlines": True}),
    Call("subprocess_shell", (SP, "true"), {"shell": False}),
    Call("subprocess_shell", (SP, "true"), {"bufsize": 1}),
    Call("subprocess_shell", (SP, "true"), {"text": True}),
    Call("subprocess_shell", (SP, "true"), {"encoding": "utf-8"}),
    Call("subprocess_shell", (SP, "true"), {"errors": "strict"}),
    Call("subprocess_exec", (SP, THING)),
    Call("subprocess_exec", (SP, "true"), {"universal_newlines": True}),
    Call("subprocess_exec", (SP, "true"), {"shell": True}),
    Call("subprocess_exec", (SP, "true"), {"bufsize": 1}),
    Call("subprocess_exec", (SP, "true"), {"text": True}),
    Call("subprocess_exec", (SP, "true"), {"cwd": "/nonexistent"}),
    Call("shutdown_default_executor", (THING, THING)),
    Call("_timer_handle_cancelled", (THING,)),
]
# Every method without arguments that it must have, or with more than it takes.
WRONG += [Call(name) for name in METHODS if name not in {"close", "run_forever"}]
WRONG += [Call(name, (THING,) * 20) for name in METHODS if name not in {"call_at", "call_later"}]

# Where we raise the same, in other words.
DIFFERS = {"sock_accept(<thing>)": "asks for accept() first, asyncio for fileno()"}


class Outcome(NamedTuple):
    """What came of a call."""

    error: type[BaseException] | None
    text: str = ""


def about_arguments(text: str) -> bool:
    """Whether an error says that a function was called with the wrong number of arguments."""
    return re.search(r"\(\) (takes|missing|misses|got)|positional argument", text) is not None


def outcome(loop: asyncio.AbstractEventLoop, call: Call) -> Outcome:
    args = [made(arg) for arg in call.args]
    keywords = {name: made(value) for name, value in call.keywords.items()}
    try:
        result = getattr(loop, call.method)(*args, **keywords)
        if inspect.iscoroutine(result) or call.method == "run_in_executor":
            finish(loop, result)
    except Exception as error:  # what it is, is what matters here
        text = re.sub(r"0x[0-9a-f]+|fd=\d+|File descriptor \d+", "", str(error))
        text = re.sub(r"<(cuvee\.loop\.)?(Loop|_UnixSelectorEventLoop) [^>]*>", "LOOP", text)
        words = isinstance(error, TypeError) and about_arguments(text)
        return Outcome(type(error), "arguments" if words else text)
    return Outcome(None)


def finish(loop: asyncio.AbstractEventLoop, waits: Any) -> None:
    """Wait for a coroutine or future; of a closed loop, as far as it goes."""
    if not loop.is_closed():
        result = loop.run_until_complete(asyncio.wait_for(waits, WAIT))
        for thing in result if isinstance(result, tuple) else (result,):
            if hasattr(thing, "close") and not isinstance(thing, asyncio.Server):
                thing.close()
        if isinstance(result, asyncio.Server):
            result.close()
    elif isinstance(waits, asyncio.Future):
        waits.cancel()
    else:
        try:
            waits.send(None)
        except StopIteration:
            pass
        finally:
            waits.close()


def on_both(call: Call, *, closed: bool) -> Iterator[Outcome]:
    """What comes of it on cuvee's loop, then on asyncio's."""
    factories: list[MakeLoop] = [cuvee.new_event_loop, asyncio.SelectorEventLoop]
    for factory in factories:
        loop = factory()
        loop.set_exception_handler(lambda _loop, _context: None)
        if closed:
            loop.close()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield outcome(loop, call)
        finally:
            while OPENED:
                OPENED.pop().close()
            if not loop.is_closed():
                loop.call_soon(loop.stop)
                loop.run_forever()
            loop.close()


@pytest.mark.parametrize("call", WRONG, ids=str)
def test_wrong_arguments(call: Call) -> None:
    ours, theirs = on_both(call, closed=False)
    if str(call) in DIFFERS:
        assert ours != theirs, "it differs no more"
        assert ours.error is theirs.error
    else:
        assert ours == theirs


CLOSED = [
    Call("add_reader", (tcp, print)),
    Call("add_writer", (tcp, print)),
    Call("remove_reader", (tcp,)),
    Call("remove_writer", (tcp,)),
    Call("add_signal_handler", (signal.SIGUSR1, print)),
    Call("remove_signal_handler", (signal.SIGUSR1,)),
    Call("call_soon", (print,)),
    Call("call_soon_threadsafe", (print,)),
    Call("call_later", (1, print)),
    Call("call_at", (1, print)),
    Call("call_exception_handler", ({"message": "text"},)),
    Call("default_exception_handler", ({"message": "text"},)),
    Call("set_exception_handler", (None,)),
    Call("get_exception_handler"),
    Call("set_task_factory", (None,)),
    Call("get_task_factory"),
    Call("get_debug"),
    Call("set_debug", (True,)),
    Call("time"),
    Call("is_running"),
    Call("is_closed"),
    Call("stop"),
    Call("close"),
    Call("create_future"),
    Call("run_forever"),
    Call("run_in_executor", (None, print)),
    Call("set_default_executor", (THING,)),
    Call("shutdown_asyncgens"),
    Call("shutdown_default_executor"),
    Call("getaddrinfo", ("127.0.0.1", 80)),
    Call("getnameinfo", (("127.0.0.1", 80),)),
    Call("create_server", (P, "127.0.0.1", 0)),
    Call("create_server", (P,), {"sock": tcp}),
    Call("create_unix_server", (P,), {"sock": unix}),
    Call("create_connection", (P, "127.0.0.1", 80)),
    Call("create_unix_connection", (P, "/nonexistent")),
    Call("create_datagram_endpoint", (DP,), {"local_addr": ("127.0.0.1", 0)}),
    Call("connect_accepted_socket", (P, udp)),
    Call("start_tls", (THING, P, None)),
    Call("sendfile", (THING, THING)),
    Call("sock_sendfile", (tcp, THING)),
    Call("sock_recv", (udp, 10)),
    Call("sock_recv_into", (udp, bytearray(1))),
    Call("sock_recvfrom", (udp, 10)),
    Call("sock_recvfrom_into", (udp, bytearray(1))),
    Call("sock_sendto", (udp, b"x", "address")),
    Call("sock_sendall", (tcp, b"x")),
    Call("sock_connect", (udp, "address")),
    Call("sock_accept", (tcp,)),
    Call("connect_read_pipe", (P, a_file)),
    Call("connect_write_pipe", (P, a_file)),
    Call("subprocess_shell", (SP, 1)),
    Call("subprocess_exec", (SP, THING)),
    Call("_timer_handle_cancelled", (THING,)),
]


@pytest.mark.parametrize("call", CLOSED, ids=str)
def test_a_closed_loop(call: Call) -> None:
    ours, theirs = on_both(call, closed=True)
    assert ours == theirs


@pytest.mark.parametrize("method", ["create_task", "run_until_complete"])
def test_coroutines_for_a_closed_loop(method: str) -> None:
    """They are the caller's still."""
    found = []
    for factory in (cuvee.new_event_loop, asyncio.SelectorEventLoop):
        loop = factory()
        loop.close()
        given = coroutine()
        with pytest.raises(RuntimeError) as caught:
            getattr(loop, method)(given)
        given.close()
        found.append(str(caught.value))
    assert found[0] == found[1] == "Event loop is closed"


def test_every_method_is_called() -> None:
    assert {call.method for call in WRONG} >= set(METHODS)
    both = {call.method for call in CLOSED} | {"create_task", "run_until_complete"}
    assert both >= set(METHODS)


def test_what_differs_is_called() -> None:
    assert set(DIFFERS) <= {str(call) for call in WRONG}
