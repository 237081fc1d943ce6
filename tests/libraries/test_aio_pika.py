# SPDX-License-Identifier: MIT
"""aio-pika, which speaks AMQP by asyncio's streams, with RabbitMQ."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

pytest.importorskip("aio_pika")

import aio_pika
from aio_pika.abc import AbstractIncomingMessage, AbstractRobustConnection
from aio_pika.exceptions import ChannelClosed, DeliveryError

from tests.libraries.relay import Relay
from tests.libraries.support import MANY, run_clean, until
from tests.support.services import RabbitMQ


def address_of(port: int) -> str:
    """Return the URL of the broker behind a port."""
    return f"amqp://guest:guest@127.0.0.1:{port}/"


async def talk(connection: AbstractRobustConnection) -> None:
    """A bit of everything."""
    async with connection.channel(on_return_raises=True) as channel:
        await channel.set_qos(prefetch_count=20)
        queue = await channel.declare_queue(exclusive=True)
        exchange = channel.default_exchange
        bodies = [b"%d" % number for number in range(200)] + [bytes(3_000_000)]
        for body in bodies:  # the broker confirms each
            await exchange.publish(aio_pika.Message(body), queue.name)
        heard = []
        async with queue.iterator() as messages:
            async for message in messages:
                async with message.process():
                    heard.append(message.body)
                if len(heard) == len(bodies):
                    break
        assert heard == bodies
        with pytest.raises(DeliveryError):
            await exchange.publish(aio_pika.Message(b""), "nowhere")
    async with connection.channel() as channel:
        with pytest.raises(ChannelClosed):
            await channel.declare_queue("none", passive=True)


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
def test_a_connection(rabbitmq: RabbitMQ, debug: bool) -> None:
    async def main() -> None:
        async with await aio_pika.connect_robust(address_of(rabbitmq.port)) as connection:
            await talk(connection)

    run_clean(main(), debug=debug)


def test_over_tls(rabbitmq: RabbitMQ, authority_file: Path) -> None:
    async def main() -> None:
        url = f"amqps://guest:guest@localhost:{rabbitmq.tls_port}/?cafile={authority_file}"
        async with await aio_pika.connect_robust(url) as connection:
            await talk(connection)

    run_clean(main())


def test_calls_by_many_tasks(rabbitmq: RabbitMQ) -> None:
    """Questions go through one queue, answers through another."""

    async def main() -> None:
        async with await aio_pika.connect_robust(address_of(rabbitmq.port)) as connection:
            channel = await connection.channel()
            questions = await channel.declare_queue(exclusive=True)
            answers = await channel.declare_queue(exclusive=True)
            waiting: dict[str, asyncio.Future[bytes]] = {}

            async def double(message: AbstractIncomingMessage) -> None:
                async with message.process():
                    assert message.reply_to is not None
                    answer = aio_pika.Message(
                        message.body * 2, correlation_id=message.correlation_id
                    )
                    await channel.default_exchange.publish(answer, message.reply_to)

            async def answered(message: AbstractIncomingMessage) -> None:
                assert message.correlation_id is not None
                waiting.pop(message.correlation_id).set_result(message.body)

            async def call(number: int) -> bytes:
                key = str(number)
                waiting[key] = asyncio.get_running_loop().create_future()
                future = waiting[key]
                question = aio_pika.Message(key.encode(), correlation_id=key, reply_to=answers.name)
                await channel.default_exchange.publish(question, questions.name)
                return await future

            await questions.consume(double)
            await answers.consume(answered, no_ack=True)
            found = await asyncio.gather(*map(call, range(MANY)))
            assert found == [b"%d" % number * 2 for number in range(MANY)]

    run_clean(main())


def test_a_wait_is_cancelled(rabbitmq: RabbitMQ) -> None:
    async def main() -> None:
        async with await aio_pika.connect_robust(address_of(rabbitmq.port)) as connection:
            async with connection.channel() as channel:
                queue = await channel.declare_queue(exclusive=True)
                async with queue.iterator() as messages:
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(0.05):
                            await anext(messages)
                await channel.default_exchange.publish(aio_pika.Message(b"late"), queue.name)
                message = await queue.get()
                await message.ack()
                assert message.body == b"late"

    run_clean(main())


def test_a_connection_is_lost_and_comes_back(rabbitmq: RabbitMQ) -> None:
    """What was declared and consumed is so again; a broker takes long to start, so a relay ends."""

    async def main() -> None:
        async with Relay(rabbitmq.port) as relay:
            url = address_of(relay.port) + "?reconnect_interval=0"
            async with await aio_pika.connect_robust(url) as connection:
                channel = await connection.channel()
                queue = await channel.declare_queue(exclusive=True)
                heard: asyncio.Queue[bytes] = asyncio.Queue()

                async def keep(message: AbstractIncomingMessage) -> None:
                    async with message.process():
                        heard.put_nowait(message.body)

                await queue.consume(keep)
                back = asyncio.Event()
                connection.reconnect_callbacks.add(lambda *_: back.set())
                for number in range(3):
                    body = b"%d" % number
                    await channel.default_exchange.publish(aio_pika.Message(body), queue.name)
                    assert await heard.get() == body
                    back.clear()
                    relay.cut()
                    await back.wait()

                async def can_be_used() -> bool:
                    await asyncio.sleep(0)
                    return not channel.is_closed

                await until(can_be_used)

    run_clean(main())
