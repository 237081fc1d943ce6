# SPDX-License-Identifier: MIT
"""Two applications that OpenTelemetry's instrumentation watches, FastAPI's and a plain one; the spans
are kept here."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from opentelemetry import trace
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.instrumentation.asyncio import AsyncioInstrumentor
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.support.asgi import Receive, Scope, Send, respond

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
tracer = provider.get_tracer("test")

os.environ["OTEL_PYTHON_ASYNCIO_COROUTINE_NAMES_TO_TRACE"] = "part"
AsyncioInstrumentor().instrument(tracer_provider=provider)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Let all tasks of the loop be eager, where that is asked for."""
    if "EAGER" in os.environ:
        factory = asyncio.eager_task_factory  # type: ignore[attr-defined,unused-ignore]
        asyncio.get_running_loop().set_task_factory(factory)
    yield


app = FastAPI(lifespan=lifespan)
FastAPIInstrumentor.instrument_app(app, tracer_provider=provider)


async def part(name: str) -> None:
    """Do a part of the work of a request."""
    with tracer.start_as_current_span("inner", attributes={"name": name}):
        await asyncio.sleep(0)


def in_thread(name: str) -> None:
    """Do another, in a thread."""
    with tracer.start_as_current_span("thread", attributes={"name": name}):
        pass


async def do_work(name: str) -> None:
    """Work in child tasks and in a thread, each with a span inside this one's."""
    with tracer.start_as_current_span("work", attributes={"name": name}) as span:
        async with asyncio.timeout(30), asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(part(name))
        await asyncio.gather(part(name), asyncio.wait_for(part(name), 30))
        async with anyio.create_task_group() as others:
            others.start_soon(part, name)
        await asyncio.to_thread(in_thread, name)
        assert trace.get_current_span() is span


@app.get("/work/{name}")
async def work(name: str) -> str:
    """Work, and answer."""
    await do_work(name)
    return name


@app.get("/stream/{name}")
async def stream(name: str) -> StreamingResponse:
    """Work while the answer is under way."""

    async def pieces() -> AsyncIterator[str]:
        for _ in range(3):
            yield name
            await do_work(name)

    return StreamingResponse(pieces())


@app.get("/fail")
async def fail() -> None:
    """Fail."""
    raise LookupError("in the handler")


async def _plain(scope: Scope, receive: Receive, send: Send) -> None:
    name = scope["path"].rpartition("/")[2]
    await do_work(name)
    await respond(send, name.encode())


plain = OpenTelemetryMiddleware(_plain, tracer_provider=provider)


def described(span: ReadableSpan) -> dict[str, Any]:
    """Return what the test wants to know of a span."""
    context = span.get_span_context()
    assert context is not None
    return {
        "trace": f"{context.trace_id:032x}",
        "id": f"{context.span_id:016x}",
        "parent": f"{span.parent.span_id:016x}" if span.parent else None,
        "name": span.name,
        "kind": span.kind.name,
        "status": span.status.status_code.name,
        "of": (span.attributes or {}).get("name"),
    }


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer questions of the test without a span; pass everything else on."""
    path = scope.get("path", "")
    if path == "/spans":
        assert not trace.get_current_span().get_span_context().is_valid, "a context has leaked"
        spans = [described(span) for span in exporter.get_finished_spans()]
        exporter.clear()
        await respond(send, json.dumps(spans).encode())
    elif path.startswith("/plain"):
        await plain(scope, receive, send)
    else:
        await app(scope, receive, send)
