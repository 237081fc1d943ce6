# SPDX-License-Identifier: MIT
"""Datagram transports: errors, flow control, what can be asked of them, and how they end."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import os
import socket
import warnings
import weakref
from typing import Any

import pytest

from cuvee import _core
from tests.loop.datagrams_support import (
    COUNTS_HEADERS,
    Endpoint,
    bound,
    connected,
    given,
    run,
    unix_bound,
    unix_pair,
)
from tests.loop.support import Contexts, turn

Loop = asyncio.AbstractEventLoop
HEADER = 8 if COUNTS_HEADERS else 0


# ---- errors


def test_refused_datagram_is_told(loop: Loop) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.bind(("127.0.0.1", 0))
            address = gone.getsockname()
        end = await connected(address)
        end.transport.sendto(b"x")
        error = await end.first("error")
        assert type(error) is ConnectionRefusedError
        assert error.errno == errno.ECONNREFUSED
        assert not end.transport.is_closing()
        await end.close()
        assert end.values("lost") == [None]

    run(loop, main())


def test_descriptor_that_is_closed_while_its_error_is_told(own_loop: Loop) -> None:
    """The kernel is not asked to watch it again."""

    class Closes(Endpoint):
        def error_received(self, exc: Exception) -> None:
            if not self.values("error"):
                os.close(self.transport._sock_fd)  # type: ignore[attr-defined]
            super().error_received(exc)

    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.bind(("127.0.0.1", 0))
            address = gone.getsockname()
        end, beside = await connected(address, Closes), await bound()
        end.transport.get_extra_info("socket")
        end.transport.sendto(b"x")
        await end.until(lambda me: len(me.values("error")) == 2)
        refused, closed = end.values("error")
        assert (refused.errno, closed.errno) == (errno.ECONNREFUSED, errno.EBADF)
        beside.transport.sendto(b"goes on", beside.address)
        assert await beside.first("received") == (b"goes on", beside.address)
        # Nobody else has the number yet: the socket object must not close another's.
        os.dup2(beside.transport._sock_fd, end.transport._sock_fd)  # type: ignore[attr-defined]
        await end.close()
        await beside.close()

    run(own_loop, main())


@pytest.mark.parametrize("leaves", [SystemExit, KeyboardInterrupt])
def test_who_leaves_the_loop_is_given_no_more(loop: Loop, leaves: type[BaseException]) -> None:
    class Leaves(Endpoint):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            if data == b"9":
                raise leaves

    async def prepare() -> tuple[Endpoint, Endpoint]:
        one = await bound(make=Leaves)
        two = await connected(one.address)
        return one, two

    one, two = run(loop, prepare())
    for number in range(20):
        two.transport.sendto(b"%d" % number)
    with pytest.raises(leaves):
        loop.run_forever()
    assert one.data == [b"%d" % number for number in range(10)]

    async def end() -> None:
        await one.close()
        await two.close()

    run(loop, end())


def test_refused_datagram_is_told_to_who_sends_again(loop: Loop) -> None:
    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.bind(("127.0.0.1", 0))
            address = gone.getsockname()
        end = await connected(address)
        end.transport.sendto(b"x")
        end.transport.sendto(b"x")
        assert [type(error) for error in end.values("error")] == [ConnectionRefusedError]
        await end.close()

    run(loop, main())


def test_too_long_datagram_is_told(loop: Loop) -> None:
    async def main() -> None:
        end = await bound()
        end.transport.sendto(b"x" * 70_000, end.address)
        assert [error.errno for error in end.values("error")] == [errno.EMSGSIZE]
        await end.close()

    run(loop, main())


def test_path_that_nobody_has_is_told(loop: Loop, tmp_path: Any) -> None:
    async def main() -> None:
        end = await given(unix_bound(str(tmp_path / "one")))
        end.transport.sendto(b"x", str(tmp_path / "two"))
        assert [type(error) for error in end.values("error")] == [FileNotFoundError]
        end.transport.sendto(b"x", "x" * 200)
        assert [type(error) for error in end.values("error")][1:] == [OSError]
        await end.close()

    run(loop, main())


def test_what_error_received_raises(loop: Loop, contexts: Contexts) -> None:
    class Fails(Endpoint):
        def error_received(self, exc: Exception) -> None:
            super().error_received(exc)
            raise ZeroDivisionError

    async def main() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
            gone.bind(("127.0.0.1", 0))
            address = gone.getsockname()
        end = await connected(address, make=Fails)
        with pytest.raises(ZeroDivisionError):
            end.transport.sendto(b"x" * 70_000)
        end.transport.sendto(b"x")
        await end.until(lambda me: len(me.values("error")) == 2)
        await asyncio.sleep(0)
        await end.close()

    run(loop, main())
    assert isinstance(contexts.only["exception"], ZeroDivisionError)
    assert contexts.only["message"].startswith("Exception in callback")


def test_what_datagram_received_raises(loop: Loop, contexts: Contexts) -> None:
    class Fails(Endpoint):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            super().datagram_received(data, addr)
            if data == b"x":
                raise ZeroDivisionError

    async def main() -> None:
        one = await bound(make=Fails)
        two = await connected(one.address)
        two.transport.sendto(b"x")
        two.transport.sendto(b"y")
        await one.until(lambda me: me.data == [b"x", b"y"])
        await one.close()
        await two.close()

    run(loop, main())
    assert isinstance(contexts.only["exception"], ZeroDivisionError)
    assert contexts.only["message"].startswith("Exception in callback")


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt])
def test_what_leaves_the_loop(loop: Loop, exception: type[BaseException]) -> None:
    class Leaves(Endpoint):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            raise exception

    one = run(loop, bound(make=Leaves))
    two = run(loop, connected(one.address))
    two.transport.sendto(b"x")
    with pytest.raises(exception):
        loop.run_forever()
    assert not one.transport.is_closing()
    run(loop, one.close())
    run(loop, two.close())


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        (None, TypeError),
        (("127.0.0.1", 70_000), OverflowError),
        (("127.0.0.1",), TypeError),
        (("127.0.0.1", "80"), TypeError),
        ("127.0.0.1", TypeError),
    ],
)
def test_address_that_is_none(
    loop: Loop, contexts: Contexts, address: Any, kind: type[Exception]
) -> None:
    """As in asyncio, a mistake of the caller's ends the transport."""

    async def main() -> None:
        end = await bound()
        end.transport.sendto(b"x", address)
        assert end.transport.is_closing()
        assert type(await end.first("lost")) is kind

    run(loop, main())
    assert contexts.only["message"] == "Fatal write error on datagram transport"
    assert type(contexts.only["exception"]) is kind
    assert isinstance(contexts.only["protocol"], Endpoint)


@pytest.mark.parametrize("data", ["text", None, 1, [b"x"]])
def test_data_that_is_none(loop: Loop, data: Any) -> None:
    async def main() -> None:
        end = await bound()
        kind = type(data).__name__
        with pytest.raises(TypeError, match=f"must be a bytes-like object, not '{kind}'"):
            end.transport.sendto(data)
        sendto: Any = end.transport.sendto
        with pytest.raises(TypeError, match="sendto"):
            sendto()
        with pytest.raises(TypeError, match="sendto"):
            sendto(b"x", None, None)
        with pytest.raises(TypeError, match="sendto"):
            sendto(b"x", data=b"x")
        with pytest.raises(TypeError, match="sendto"):
            sendto(b"x", to=None)
        await end.close()

    run(loop, main())


@pytest.mark.parametrize("broadcast", [False, True])
def test_only_the_remote_address(loop: Loop, broadcast: bool) -> None:
    async def main() -> None:
        one = await bound()
        _, two = await asyncio.get_running_loop().create_datagram_endpoint(
            Endpoint, remote_addr=one.address, allow_broadcast=broadcast or None
        )
        assert (two.transport.get_extra_info("peername") is None) == broadcast
        with pytest.raises(ValueError, match="Invalid address: must be None or ") as caught:
            two.transport.sendto(b"x", ("127.0.0.1", 1))
        assert str(caught.value) == f"Invalid address: must be None or {one.address}"
        two.transport.sendto(b"x")
        two.transport.sendto(b"y", one.address)
        await one.until(lambda me: me.data == [b"x", b"y"])
        await one.close()
        await two.close()

    run(loop, main())


# ---- flow control


async def fill(end: Endpoint, *, count: int = 100, size: int = 1000) -> int:
    """Send until datagrams are queued; return how many the kernel took."""
    number = 0
    while not end.transport.get_write_buffer_size():  # type: ignore[attr-defined]
        end.transport.sendto(b"%08d" % number + b"x" * (size - 8))
        number += 1
    taken = number - 1
    while number < taken + count:
        end.transport.sendto(b"%08d" % number + b"x" * (size - 8))
        number += 1
    return taken


async def full(
    tmp_path: Any, make: type[Endpoint] = Endpoint
) -> tuple[Endpoint, socket.socket, int]:
    """An end with 100 datagrams of 1000 bytes in its queue, and the socket that could take them."""
    reader = unix_bound(str(tmp_path / "reader"))
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.connect(reader.getsockname())
    end = await given(sock, make)
    return end, reader, await fill(end)


async def read_numbers(reader: socket.socket, count: int) -> list[int]:
    """Receive so many datagrams; return their numbers."""
    numbers: list[int] = []
    while len(numbers) < count:
        try:
            numbers.append(int(reader.recv(10_000)[:8]))
        except BlockingIOError:
            await asyncio.sleep(0)
    return numbers


def test_queue_pauses_and_resumes(loop: Loop, tmp_path: Any) -> None:
    async def main() -> None:
        end, reader, taken = await full(tmp_path)
        transport: Any = end.transport
        await asyncio.sleep(0)
        assert transport.get_write_buffer_size() == 100 * (1000 + HEADER)
        assert [name for name, _ in end.calls] == ["made", "pause"]
        assert repr(transport).endswith(
            f"read=polling write=<polling, bufsize={100 * (1000 + HEADER)}>>"
        )
        numbers = await read_numbers(reader, taken + 100)
        assert numbers == list(range(taken + 100))
        await end.first("resume")
        assert [name for name, _ in end.calls] == ["made", "pause", "resume"]
        end.transport.sendto(b"%08d" % 1)
        assert await read_numbers(reader, 1) == [1]
        reader.close()
        await end.close()

    run(loop, main())


@pytest.mark.parametrize("way", ["read", "abort"])
def test_queue_counts_nothing_in_the_end(own_loop: Loop, tmp_path: Any, way: str) -> None:
    """CPython 3.13.0 forgets to take the headers off again, and what abort() drops."""

    async def main() -> None:
        end, reader, taken = await full(tmp_path)
        if way == "read":
            await read_numbers(reader, taken + 100)
            await end.first("resume")
        else:
            end.transport.abort()
        assert end.transport.get_write_buffer_size() == 0  # type: ignore[attr-defined]
        reader.close()
        await end.close()

    run(own_loop, main())


def test_marks(loop: Loop, tmp_path: Any) -> None:
    async def main() -> None:
        end, reader, taken = await full(tmp_path)
        transport: Any = end.transport
        assert transport.get_write_buffer_limits() == (16384, 65536)
        transport.set_write_buffer_limits(high=2000)
        assert transport.get_write_buffer_limits() == (500, 2000)
        with pytest.raises(ValueError, match="must be >= low"):
            transport.set_write_buffer_limits(high=1, low=2)
        await read_numbers(reader, taken + 100)
        reader.close()
        await end.close()

    run(loop, main())


def test_queued_data_is_a_copy(loop: Loop, tmp_path: Any) -> None:
    async def main() -> None:
        end, reader, taken = await full(tmp_path)
        data = bytearray(b"00000001 before")
        end.transport.sendto(data)
        end.transport.sendto(memoryview(data)[::-1])
        data[:] = b"00000002 after."
        await read_numbers(reader, taken + 100)
        received = []
        while len(received) < 2:
            try:
                received.append(reader.recv(100))
            except BlockingIOError:
                await asyncio.sleep(0)
        assert received == [b"00000001 before", b"erofeb 10000000"]
        reader.close()
        await end.close()

    run(loop, main())


def test_close_sends_the_queue_first(loop: Loop, tmp_path: Any) -> None:
    async def main() -> None:
        end, reader, taken = await full(tmp_path)
        end.transport.close()
        assert end.transport.is_closing()
        end.transport.sendto(b"%08d" % (taken + 100))
        numbers = await read_numbers(reader, taken + 101)
        assert numbers == list(range(taken + 101))
        assert await end.first("lost") is None
        reader.close()

    run(loop, main())


def test_abort_drops_the_queue(loop: Loop, tmp_path: Any) -> None:
    async def main() -> None:
        end, reader, taken = await full(tmp_path)
        end.transport.abort()
        assert await end.first("lost") is None
        assert await read_numbers(reader, taken) == list(range(taken))
        with pytest.raises(BlockingIOError):
            reader.recv(1)
        reader.close()

    run(loop, main())


def test_errors_of_what_was_queued(loop: Loop, tmp_path: Any) -> None:
    """Nobody reads any more: each datagram is told of, and then the transport works on."""

    async def main() -> None:
        end, reader, _ = await full(tmp_path)
        reader.close()
        await end.until(lambda me: len(me.values("error")) == 100)
        assert type(end.values("error")[0]) is ConnectionRefusedError
        assert all(isinstance(error, OSError) for error in end.values("error"))
        await end.first("resume")
        assert not end.transport.is_closing()
        await end.close()

    run(loop, main())


@pytest.mark.parametrize("way", ["close", "abort"])
def test_end_in_error_received(loop: Loop, tmp_path: Any, way: str) -> None:
    class Ends(Endpoint):
        def error_received(self, exc: Exception) -> None:
            super().error_received(exc)
            getattr(self.transport, way)()

    async def main() -> None:
        end, reader, _ = await full(tmp_path, Ends)
        reader.close()
        assert await end.first("lost") is None
        assert len(end.values("error")) == (1 if way == "abort" else 100)

    run(loop, main())


def test_what_flow_control_raises(loop: Loop, contexts: Contexts, tmp_path: Any) -> None:
    class Fails(Endpoint):
        def pause_writing(self) -> None:
            raise ZeroDivisionError

        def resume_writing(self) -> None:
            super().resume_writing()
            raise LookupError

    async def main() -> None:
        end, reader, taken = await full(tmp_path, Fails)
        await read_numbers(reader, taken + 100)
        await end.first("resume")
        reader.close()
        await end.close()

    run(loop, main())
    assert [type(context["exception"]) for context in contexts] == [ZeroDivisionError, LookupError]
    assert contexts[0]["message"] == "protocol.pause_writing() failed"
    assert contexts[1]["message"] == "protocol.resume_writing() failed"


# ---- the end


def test_write_after_close_warns(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        one = await bound()
        two = await connected(one.address)
        two.transport.close()
        with caplog.at_level(logging.WARNING, "asyncio"):
            for _ in range(4):
                two.transport.sendto(b"x")
            assert not caplog.records
            for _ in range(4):
                two.transport.sendto(b"x")
        assert {record.message for record in caplog.records} == {"socket.send() raised exception."}
        await two.first("lost")
        two.transport.sendto(b"x")
        await one.close()

    run(loop, main())


def test_write_after_the_end_never_raises(own_loop: Loop) -> None:
    """asyncio trips over its own socket, which is None."""

    async def main() -> None:
        one, two = await bound(), await bound()
        two.transport.close()
        two.transport.sendto(b"on the way", one.address)
        await two.first("lost")
        for _ in range(10):
            two.transport.sendto(b"lost", one.address)
        assert (await one.first("received"))[0] == b"on the way"
        await one.close()
        assert len(one.data) == 1

    run(own_loop, main())


def test_connection_lost_is_called_once(loop: Loop) -> None:
    async def main() -> None:
        end = await bound()
        end.transport.close()
        end.transport.close()
        end.transport.abort()
        await end.first("lost")
        end.transport.close()
        await asyncio.sleep(0)
        assert end.calls == [("made", None), ("lost", None)]

    run(loop, main())


def test_close_before_connection_made(loop: Loop) -> None:
    """Nothing comes once close() was called, however early that is."""

    class Closes(Endpoint):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(transport)
            transport.close()

    async def main() -> None:
        end = await bound(make=Closes)
        await end.first("lost")

    run(loop, main())


def test_what_can_be_asked(loop: Loop) -> None:
    async def main() -> None:
        one = await bound()
        two = await connected(one.address)
        transport: Any = two.transport
        sock = transport.get_extra_info("socket")
        assert sock.getsockname() == two.address
        assert sock.type == socket.SOCK_DGRAM
        assert transport.get_extra_info("peername") == one.address
        assert transport.get_extra_info("nothing") is None
        assert transport.get_extra_info("nothing", default=1) == 1
        assert transport.get_protocol() is two
        name = type(transport).__name__
        fd = sock.fileno()
        await asyncio.sleep(0)
        assert repr(transport) == f"<{name} fd={fd} read=polling write=<idle, bufsize=0>>"
        transport.close()
        assert repr(transport) == f"<{name} closing fd={fd} read=idle write=<idle, bufsize=0>>"
        await two.first("lost")
        assert repr(transport) == f"<{name} closed fd={fd}>"
        await one.close()

    run(loop, main())


def test_other_protocol(loop: Loop) -> None:
    async def main() -> None:
        one, two, three = await bound(), await bound(), Endpoint()
        one.transport.set_protocol(three)
        two.transport.sendto(b"x", one.address)
        assert await three.first("received") == (b"x", two.address)
        one.transport.close()
        await three.first("lost")
        await two.close()
        assert [name for name, _ in one.calls] == ["made"]

    run(loop, main())


def test_descriptor_is_the_transports(loop: Loop) -> None:
    async def main() -> None:
        here = asyncio.get_running_loop()
        end = await bound()
        fd = end.transport.get_extra_info("socket").fileno()
        with pytest.raises(RuntimeError, match="is used by transport"):
            here.add_reader(fd, print)
        await end.close()

    run(loop, main())


def test_descriptor_is_one_transports(own_loop: Loop) -> None:
    """asyncio looks since 3.12."""

    async def main() -> None:
        end = await bound()
        other = socket.socket(fileno=end.transport.get_extra_info("socket").fileno())
        with pytest.raises(RuntimeError, match="is used by transport"):
            await given(other)
        other.detach()
        await end.close()

    run(own_loop, main())


def test_socket_that_its_giver_closes(own_loop: Loop) -> None:
    """The transport keeps the number; asyncio would go on with whoever gets it next."""

    async def main() -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        one, two = await given(sock), await bound()
        sock.close()
        two.transport.sendto(b"x", one.address)
        assert await one.first("received") == (b"x", two.address)
        one.transport.sendto(b"y", two.address)
        assert await two.first("received") == (b"y", one.address)
        await one.close()
        await two.close()

    run(own_loop, main())


def test_transport_that_nobody_keeps(loop: Loop) -> None:
    """The loop keeps it while it is open."""

    async def open_and_forget() -> Any:
        transport = (await bound()).transport
        return weakref.ref(transport), transport.get_extra_info("sockname")

    transport, address = run(loop, open_and_forget())
    gc.collect()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"x", address)
    end = transport().get_protocol()
    assert run(loop, end.first("received"))[0] == b"x"
    run(loop, end.close())


def test_unclosed_transport_warns(loop: Loop) -> None:
    end: Endpoint | None = run(loop, bound())
    assert end is not None
    name = type(end.transport).__name__
    loop.close()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        end = None
        gc.collect()
    texts = [str(warning.message) for warning in caught]
    assert sum(text.startswith(f"unclosed transport <{name} fd=") for text in texts) == 1


def test_debug_mode(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    loop.set_debug(True)
    loop.slow_callback_duration = 0  # type: ignore[attr-defined]

    async def main() -> None:
        one = await bound()
        two = await connected(one.address)
        transport: Any = one.transport
        transport.pause_reading()
        transport.resume_reading()
        two.transport.sendto(b"x")
        await one.first("received")
        await one.close()
        await two.close()

    with caplog.at_level(logging.DEBUG, "asyncio"):
        run(loop, main())
    messages = [record.message for record in caplog.records]
    for words in ("pauses reading", "resumes reading", "Datagram endpoint local_addr="):
        assert any(words in message for message in messages), words


def test_wrong_arguments(own_loop: Loop) -> None:
    make: Any = _core.DatagramTransport
    left, right = unix_pair()
    with left, right:
        for arguments in (
            (),
            (own_loop,),
            (object(), left, Endpoint()),
            (own_loop, None, Endpoint()),
            (own_loop, left, Endpoint(), None, None, []),
        ):
            with pytest.raises(TypeError):
                make(*arguments)

        class Odd:
            def __bool__(self) -> bool:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            make(own_loop, left, Endpoint(), Odd())
        assert left.fileno() >= 0
        turn(own_loop)
        own_loop.add_reader(left, print)
        own_loop.remove_reader(left)
