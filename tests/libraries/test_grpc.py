# SPDX-License-Identifier: MIT
"""grpcio's aio: its core has threads of its own and wakes the loop by a socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

pytest.importorskip("grpc")

import grpc
import grpc.aio
import trustme

from tests.libraries import support
from tests.libraries.support import MANY

run_clean = partial(support.run_clean, count_files=False)


class Service:
    """One method of each of the four kinds; messages are bytes, as without a serializer."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()

    async def upper(self, request: bytes, context: Any) -> bytes:
        if request == b"fail":
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is none")
        if request == b"wait":
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        context.set_trailing_metadata((("length", str(len(request))),))
        return request.upper()

    async def count(self, request: bytes, context: Any) -> AsyncIterator[bytes]:
        for number in range(int(request)):
            yield b"%d" % number

    async def join(self, requests: AsyncIterator[bytes], context: Any) -> bytes:
        return b"".join([request async for request in requests])

    async def echo(self, requests: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for request in requests:
            yield request

    def handler(self) -> grpc.GenericRpcHandler:
        """Return what a server is given."""
        methods = {
            "upper": grpc.unary_unary_rpc_method_handler(self.upper),
            "count": grpc.unary_stream_rpc_method_handler(self.count),
            "join": grpc.stream_unary_rpc_method_handler(self.join),
            "echo": grpc.stream_stream_rpc_method_handler(self.echo),
        }
        return grpc.method_handlers_generic_handler("test", methods)


@asynccontextmanager
async def serving(
    service: Service, certificate: trustme.LeafCert | None = None
) -> AsyncIterator[str]:
    """A server; the value is its address."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((service.handler(),))
    if certificate is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        key, chain = certificate.private_key_pem.bytes(), certificate.cert_chain_pems[0].bytes()
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, chain)]))
    await server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        await server.stop(None)


async def talk(channel: grpc.aio.Channel) -> None:
    """Call a method of each kind."""
    assert await channel.unary_unary("/test/upper")(b"hello") == b"HELLO"
    call = channel.unary_unary("/test/upper")(b"x" * 3_000_000)
    assert await call == b"X" * 3_000_000
    assert ("length", "3000000") in tuple(await call.trailing_metadata())
    counted = [part async for part in channel.unary_stream("/test/count")(b"500")]
    assert counted == [b"%d" % number for number in range(500)]

    async def parts() -> AsyncIterator[bytes]:
        for number in range(100):
            yield b"%d" % number

    joined = b"".join([part async for part in parts()])
    assert await channel.stream_unary("/test/join")(parts()) == joined
    stream = channel.stream_stream("/test/echo")()
    for number in range(100):  # a dialogue
        await stream.write(b"%d" % number)
        assert await stream.read() == b"%d" % number
    await stream.done_writing()
    assert await stream.read() is grpc.aio.EOF
    with pytest.raises(grpc.aio.AioRpcError) as failure:
        await channel.unary_unary("/test/upper")(b"fail")
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
def test_a_channel(debug: bool) -> None:
    async def main() -> None:
        async with serving(Service()) as address:
            async with grpc.aio.insecure_channel(address) as channel:
                await talk(channel)

    run_clean(main(), debug=debug)


def test_over_tls(authority: trustme.CA, certificate: trustme.LeafCert) -> None:
    async def main() -> None:
        async with serving(Service(), certificate) as address:
            trust = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
            async with grpc.aio.secure_channel(address, trust) as channel:
                await talk(channel)

    run_clean(main())


def test_many_tasks_over_a_channel() -> None:
    async def main() -> None:
        async with serving(Service()) as address:
            async with grpc.aio.insecure_channel(address) as channel:
                upper: Any = channel.unary_unary("/test/upper")
                found = await asyncio.gather(*(upper(b"x%d" % n) for n in range(MANY)))
                assert found == [b"X%d" % number for number in range(MANY)]

    run_clean(main())


def test_a_call_is_cancelled() -> None:
    """By its task, and by a deadline; the server's handler sees either."""

    async def main() -> None:
        service = Service()
        async with serving(service) as address:
            async with grpc.aio.insecure_channel(address) as channel:
                assert await channel.unary_unary("/test/upper")(b"ok") == b"OK"
                with pytest.raises(grpc.aio.AioRpcError) as failure:
                    await channel.unary_unary("/test/upper")(b"wait", timeout=0.5)
                assert failure.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
                await service.cancelled.wait()
                service.cancelled.clear()
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.5):
                        await channel.unary_unary("/test/upper")(b"wait")
                await service.cancelled.wait()
                assert await channel.unary_unary("/test/upper")(b"ok") == b"OK"

    run_clean(main())


def test_the_server_goes_and_comes_back() -> None:
    async def main() -> None:
        async with serving(Service()) as address:
            async with grpc.aio.insecure_channel(address) as channel:
                assert await channel.unary_unary("/test/upper")(b"a") == b"A"
        async with grpc.aio.insecure_channel(address) as channel:
            with pytest.raises(grpc.aio.AioRpcError) as failure:
                await channel.unary_unary("/test/upper")(b"b")
            assert failure.value.code() is grpc.StatusCode.UNAVAILABLE
        async with serving(Service()) as address:
            async with grpc.aio.insecure_channel(address) as channel:
                assert await channel.unary_unary("/test/upper")(b"c") == b"C"

    run_clean(main())
