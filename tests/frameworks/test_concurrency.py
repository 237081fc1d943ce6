# SPDX-License-Identifier: MIT
"""Requests that run together: threads, task groups, context variables, clients inside a handler."""

import asyncio
import contextvars
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread
import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse

from tests.conftest import Serve
from tests.frameworks.support import ON_EVERY_LOOP, at_once, client_of
from tests.support.asgi import WAIT, Notes

NAME = contextvars.ContextVar("NAME", default="unset")


class Meeting:
    """Lets nobody pass before all are there: asyncio.Barrier in few words."""

    def __init__(self, size: int) -> None:
        self.missing = size
        self.complete = asyncio.Event()

    async def join(self) -> None:
        """Wait for the others."""
        self.missing -= 1
        if not self.missing:
            self.complete.set()
        await self.complete.wait()


@ON_EVERY_LOOP
def test_async_endpoints_run_together(serve: Serve) -> None:
    app, meeting = FastAPI(), Meeting(40)

    @app.get("/")
    async def endpoint() -> str:
        await meeting.join()
        return "met"

    with serve(app) as server:
        assert [answer.json() for answer in at_once(server, ["/"] * 40)] == ["met"] * 40


@ON_EVERY_LOOP
def test_sync_endpoints_run_together(serve: Serve) -> None:
    app, meeting = FastAPI(), threading.Barrier(10)

    @app.get("/")
    def endpoint() -> str:
        meeting.wait(WAIT)
        return "met"

    with serve(app) as server:
        assert [answer.json() for answer in at_once(server, ["/"] * 10)] == ["met"] * 10


def test_more_sync_requests_than_threads(serve: Serve) -> None:
    """There are 40 threads; the requests beyond them wait for one, and all are answered."""
    app = FastAPI()

    @app.get("/{number}")
    def endpoint(number: int) -> int:
        return number

    with serve(app) as server:
        answers = at_once(server, [f"/{number}" for number in range(120)])
    assert [answer.json() for answer in answers] == list(range(120))


@ON_EVERY_LOOP
def test_a_sync_endpoint_that_blocks_holds_nobody_back(serve: Serve, notes: Notes) -> None:
    app, free = FastAPI(), threading.Event()

    @app.get("/blocks")
    def blocks() -> bool:
        notes.put("in")
        return free.wait(WAIT)

    @app.get("/plain")
    async def plain() -> str:
        return "plain"

    with serve(app) as server, server.connect() as client, server.connect() as other:
        client.get("/blocks")
        assert notes.get() == "in"
        assert other.ask("/plain").body == b'"plain"'
        assert client.quiet()
        free.set()
        assert client.read_response().body == b"true"


def naming_app(meeting: Meeting, notes: Notes) -> FastAPI:
    """Each endpoint sets NAME, waits for the others, and says what NAME is then."""
    app = FastAPI()

    async def helper() -> str:
        return NAME.get()

    @app.get("/async/{name}")
    async def here(name: str) -> list[str]:
        before = NAME.get()
        NAME.set(name)
        await meeting.join()
        task = asyncio.create_task(helper())
        return [before, NAME.get(), await task, await asyncio.to_thread(NAME.get)]

    @app.get("/stream/{name}")
    async def stream(name: str) -> StreamingResponse:
        async def pieces() -> AsyncIterator[str]:
            before = NAME.get()
            NAME.set(name)
            await meeting.join()
            yield f"{before} {NAME.get()}"

        return StreamingResponse(pieces())

    @app.get("/task/{name}")
    async def task(name: str, tasks: BackgroundTasks) -> None:
        async def later() -> None:
            await meeting.join()
            notes.put((name, NAME.get()))

        NAME.set(name)
        tasks.add_task(later)

    return app


@ON_EVERY_LOOP
def test_context_variables_are_each_requests_own(serve: Serve, notes: Notes) -> None:
    names = [str(number) for number in range(20)]
    with serve(naming_app(Meeting(20), notes)) as server:
        answers = at_once(server, [f"/async/{name}" for name in names])
    assert [answer.json() for answer in answers] == [["unset", name, name, name] for name in names]


@ON_EVERY_LOOP
def test_context_variables_of_streams(serve: Serve, notes: Notes) -> None:
    names = [str(number) for number in range(20)]
    with serve(naming_app(Meeting(20), notes)) as server:
        answers = at_once(server, [f"/stream/{name}" for name in names])
    assert [answer.text for answer in answers] == [f"unset {name}" for name in names]


@ON_EVERY_LOOP
def test_context_variables_of_background_tasks(serve: Serve, notes: Notes) -> None:
    names = [str(number) for number in range(20)]
    with serve(naming_app(Meeting(20), notes)) as server:
        at_once(server, [f"/task/{name}" for name in names])
        assert sorted(notes.get() for _ in names) == sorted((name, name) for name in names)


def test_one_connection_does_not_keep_context_variables(serve: Serve, notes: Notes) -> None:
    with serve(naming_app(Meeting(1), notes)) as server, server.connect() as client:
        for name in (b"a", b"b", b"c"):
            body = client.ask(f"/async/{name.decode()}").body
            assert body == b'["unset","%b","%b","%b"]' % (name, name, name)


@ON_EVERY_LOOP
def test_task_groups(serve: Serve) -> None:
    app = FastAPI()

    async def double(number: int) -> int:
        await asyncio.sleep(0)
        return number * 2

    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError("in a group")

    async def never(ended: list[str]) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    @app.get("/asyncio")
    async def with_asyncio() -> list[int]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(double(number)) for number in range(10)]
        return [task.result() for task in tasks]

    @app.get("/anyio")
    async def with_anyio() -> list[int]:
        found: list[int] = []

        async def collect(number: int) -> None:
            found.append(await double(number))

        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(collect, number)
        return sorted(found)

    @app.get("/fails")
    async def fails() -> list[str]:
        ended: list[str] = []
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(never(ended))
                group.create_task(fail())
        except* LookupError as errors:
            ended += [str(error) for error in errors.exceptions]
        return ended

    @app.get("/crashes")
    async def crashes() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(never([]))
            group.create_task(fail())

    with serve(app) as server, client_of(server) as client:
        even = list(range(0, 20, 2))
        assert client.get("/asyncio").json() == client.get("/anyio").json() == even
        assert client.get("/fails").json() == ["cancelled", "in a group"]
        assert client.get("/crashes").status_code == 500
        record = server.log.expect("Exception in ASGI application")
        assert record.exc_info
        assert isinstance(record.exc_info[1], ExceptionGroup)
        assert client.get("/asyncio").json() == even


@ON_EVERY_LOOP
def test_timeouts(serve: Serve) -> None:
    app = FastAPI()

    @app.get("/asyncio")
    async def with_asyncio() -> None:
        try:
            async with asyncio.timeout(0.001):
                await asyncio.Event().wait()
        except TimeoutError:
            raise HTTPException(504, "asyncio") from None

    @app.get("/anyio")
    async def with_anyio() -> None:
        with anyio.move_on_after(0.001):
            await anyio.sleep_forever()
        raise HTTPException(504, "anyio")

    @app.get("/wait-for")
    async def with_wait_for() -> None:
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.001)
        except TimeoutError:
            raise HTTPException(504, "wait_for") from None

    with serve(app) as server, client_of(server) as client:
        for path, detail in {
            "asyncio": "asyncio",
            "anyio": "anyio",
            "wait-for": "wait_for",
        }.items():
            response = client.get(f"/{path}")
            assert (response.status_code, response.json()) == (504, {"detail": detail})


@ON_EVERY_LOOP
def test_threads_and_back(serve: Serve) -> None:
    app = FastAPI()

    async def here() -> str:
        return threading.current_thread().name

    @app.get("/anyio")
    async def with_anyio() -> list[Any]:
        def there() -> list[str]:
            return [threading.current_thread().name, anyio.from_thread.run(here)]

        return await anyio.to_thread.run_sync(there)

    @app.get("/executor")
    async def with_executor() -> list[Any]:
        loop = asyncio.get_running_loop()

        def there() -> list[str]:
            back = asyncio.run_coroutine_threadsafe(here(), loop)
            return [threading.current_thread().name, back.result(WAIT)]

        return await loop.run_in_executor(None, there)

    with serve(app) as server, client_of(server) as client:
        for path in ("/anyio", "/executor"):
            worker, back = client.get(path).json()
            assert worker not in ("server", threading.main_thread().name)
            assert back == "server"


@ON_EVERY_LOOP
def test_one_request_wakes_another(serve: Serve, notes: Notes) -> None:
    """Long polling over a queue that the application keeps."""
    app = FastAPI()
    queue: asyncio.Queue[str] = asyncio.Queue()

    @app.get("/next")
    async def take() -> str:
        notes.put("waiting")
        return await queue.get()

    @app.post("/put/{word}")
    async def put(word: str) -> None:
        queue.put_nowait(word)

    with serve(app) as server, server.connect() as waiting, client_of(server) as client:
        for word in ("one", "two"):
            waiting.get("/next")
            assert notes.get() == "waiting"
            assert waiting.quiet()
            assert client.post(f"/put/{word}").status_code == 200
            assert waiting.read_response().body == f'"{word}"'.encode()


@ON_EVERY_LOOP
def test_a_task_outlives_its_request(serve: Serve, notes: Notes) -> None:
    app, gate = FastAPI(), asyncio.Event()
    kept: set[asyncio.Task[None]] = set()

    async def later() -> None:
        await gate.wait()
        notes.put("done")

    @app.get("/start")
    async def start() -> None:
        kept.add(asyncio.create_task(later()))

    @app.get("/open")
    async def open_gate() -> None:
        gate.set()

    with serve(app) as server, server.connect() as client:
        assert client.ask("/start").status == 200
        client.close()
        assert notes.empty()
        with server.connect() as other:
            assert other.ask("/open").status == 200
            assert notes.get() == "done"


@ON_EVERY_LOOP
def test_a_handler_is_a_client_of_its_own_server(serve: Serve) -> None:
    """With httpx over anyio inside a request: sockets of the same loop, and no deadlock."""
    app = FastAPI()

    @app.get("/outer")
    async def outer(port: int) -> list[Any]:
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=WAIT) as client:
            answers = await asyncio.gather(*(client.get(f"/inner/{n}") for n in range(5)))
            posted = await client.post("/size", content=b"x" * 1_000_000)
        return [*(answer.json() for answer in answers), posted.json()]

    @app.get("/inner/{number}")
    async def inner(number: int) -> int:
        await asyncio.sleep(0)
        return number

    @app.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    with serve(app) as server, client_of(server) as client:
        answer = client.get("/outer", params={"port": server.port})
        assert answer.json() == [0, 1, 2, 3, 4, 1_000_000]


@ON_EVERY_LOOP
def test_a_handler_runs_a_process(serve: Serve) -> None:
    app = FastAPI()

    @app.get("/")
    async def endpoint(word: str) -> list[Any]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", "import sys; print(sys.stdin.read()[::-1]); sys.exit(3)"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await process.communicate(word.encode())
        return [out.decode().strip(), process.returncode]

    with serve(app) as server, client_of(server) as client:
        assert client.get("/", params={"word": "desserts"}).json() == ["stressed", 3]


@pytest.mark.parametrize("count", [1, 200])
def test_pipelined_requests_are_answered_in_order(serve: Serve, count: int) -> None:
    app = FastAPI()

    @app.get("/async/{number}")
    async def here(number: int) -> int:
        await asyncio.sleep(0)
        return number

    @app.get("/sync/{number}")
    def there(number: int) -> int:
        return number

    with serve(app) as server, server.connect() as client:
        request = b"GET /%b/%d HTTP/1.1\r\nHost: h\r\n\r\n"
        kinds = (b"async", b"sync")
        client.send(b"".join(request % (kinds[n % 2], n) for n in range(count)))
        assert [client.read_response().body for _ in range(count)] == [
            b"%d" % number for number in range(count)
        ]
