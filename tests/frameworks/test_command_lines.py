# SPDX-License-Identifier: MIT
"""Command lines and programs for uvicorn, of the shapes that frameworks' documents have, with one word changed."""

from __future__ import annotations

import http.client
import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.asgi import WAIT
from tests.support.ports import free_port
from tests.support.server_process import COLOR, Output

READY = re.compile(r"running on http://\S+:(\d+)")


@dataclass(frozen=True)
class Project:
    """What somebody has on disk, and types."""

    files: dict[str, str]
    command: str
    """`uvicorn` and `python` stand for cuvee and for this interpreter."""
    answers: dict[str, str]
    """What targets are answered with, as a part of the body."""
    variables: dict[str, str] = field(default_factory=dict)
    needs: str = ""
    """A module that is no part of the tests' requirements, for it is a large one."""


FASTAPI = """
from fastapi import FastAPI, Request

app = FastAPI()

@app.get("/")
async def read_root():
    return {"Hello": "World"}

@app.get("/items/{item_id}")
def read_item(item_id: int, q: str | None = None):
    return {"item_id": item_id, "q": q}

@app.get("/who")
async def who(request: Request):
    return {"client": request.client.host, "url": str(request.url)}
"""

PROGRAM = """
import uvicorn

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=0)
"""

STARLETTE = """
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

async def homepage(request):
    return JSONResponse({"hello": "world"})

app = Starlette(debug=True, routes=[Route("/", homepage)])
"""

DJANGO = {
    "mysite/__init__.py": "",
    "mysite/settings.py": (
        'SECRET_KEY = "x"\nDEBUG = False\nALLOWED_HOSTS = ["*"]\nROOT_URLCONF = "mysite.urls"\n'
    ),
    "mysite/urls.py": (
        "from django.http import HttpResponse\nfrom django.urls import path\n"
        'urlpatterns = [path("", lambda request: HttpResponse("polls"))]\n'
    ),
    "mysite/asgi.py": (
        "import os\nfrom django.core.asgi import get_asgi_application\n"
        'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")\n'
        "application = get_asgi_application()\n"
    ),
    "mysite/wsgi.py": (
        "import os\nfrom django.core.wsgi import get_wsgi_application\n"
        'os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")\n'
        "application = get_wsgi_application()\n"
    ),
}

LITESTAR = """
from litestar import Litestar, get

@get("/")
async def index() -> str:
    return "Hello, world!"

@get("/books/{book_id:int}")
async def get_book(book_id: int) -> dict[str, int]:
    return {"book_id": book_id}

app = Litestar([index, get_book])
"""

QUART = """
from quart import Quart

app = Quart(__name__)

@app.get("/")
async def hello():
    return "hello from quart"
"""

SSE = """
import asyncio
import uvicorn
from sse_starlette.sse import EventSourceResponse
from starlette.applications import Starlette
from starlette.routing import Route

async def numbers(minimum, maximum):
    for number in range(minimum, maximum + 1):
        await asyncio.sleep(0)
        yield dict(data=number)

async def sse(request):
    return EventSourceResponse(numbers(1, 5))

app = Starlette(routes=[Route("/", endpoint=sse)])

if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=0, log_level="info")
"""

# As inference servers do it: a socket of their own, bound before the model is loaded, a task for the server, signals
# that set should_exit, and a watchdog that looks at the server's state.
INFERENCE = """
import asyncio
import signal
import socket
import uvicorn
from fastapi import FastAPI

app = FastAPI()

@app.get("/health")
async def health():
    return {"status": "ok"}

@app.get("/v1/models")
async def models():
    return {"requests": app.state.server.server_state.total_requests}

async def serve_http(app, sock, **uvicorn_kwargs):
    config = uvicorn.Config(app, **uvicorn_kwargs)
    config.load()
    server = uvicorn.Server(config)
    app.state.server = server
    loop = asyncio.get_running_loop()
    server_task = loop.create_task(server.serve(sockets=[sock]))

    def signal_handler():
        server_task.cancel()

    async def dummy_shutdown():
        pass

    loop.add_signal_handler(signal.SIGINT, signal_handler)
    loop.add_signal_handler(signal.SIGTERM, signal_handler)
    while not server.started:
        await asyncio.sleep(0.01)
    print("running on http://127.0.0.1:%d" % server.servers[0].sockets[0].getsockname()[1], flush=True)
    try:
        await server_task
        return dummy_shutdown()
    except asyncio.CancelledError:
        return server.shutdown()

async def main():
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    shutdown_task = await serve_http(
        app,
        sock=sock,
        host="127.0.0.1",
        port=8000,
        log_level="info",
        access_log=True,
        timeout_keep_alive=5,
        ssl_keyfile=None,
        ssl_certfile=None,
        ssl_ca_certs=None,
        ssl_cert_reqs=0,
        h11_max_incomplete_event_size=4194304,
    )
    await shutdown_task
    sock.close()

if __name__ == "__main__":
    asyncio.run(main())
"""

# As notebooks and test suites do it.
THREAD = """
import contextlib
import threading
import time
import uvicorn
from main import app

class Server(uvicorn.Server):
    def install_signal_handlers(self):
        pass

    @contextlib.contextmanager
    def run_in_thread(self):
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            while not self.started:
                time.sleep(1e-3)
            yield
        finally:
            self.should_exit = True
            thread.join()

config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="info")
server = Server(config=config)
with server.run_in_thread():
    input()
"""

GRADIO = """
import gradio as gr
from fastapi import FastAPI

app = FastAPI()

@app.get("/")
def read_main():
    return {"message": "This is your main app"}

io = gr.Interface(lambda x: "Hello, " + x + "!", "textbox", "textbox")
app = gr.mount_gradio_app(app, io, path="/gradio")
"""

PROJECTS = {
    "FastAPI": Project(
        {"main.py": FASTAPI},
        "uvicorn main:app --host 127.0.0.1 --port 0",
        {"/": '{"Hello":"World"}', "/items/5?q=some": '{"item_id":5,"q":"some"}'},
    ),
    "FastAPI while it is written": Project(
        {"main.py": FASTAPI}, "uvicorn main:app --reload --port 0", {"/": '{"Hello":"World"}'}
    ),
    "FastAPI behind a proxy": Project(
        {"main.py": FASTAPI},
        "uvicorn main:app --proxy-headers --forwarded-allow-ips=* --root-path /api/v1 --port 0",
        {"/who": '{"client":"203.0.113.7","url":"https://example.org/api/v1/who"}'},
    ),
    "FastAPI as a program": Project(
        {"main.py": FASTAPI + PROGRAM}, "python main.py", {"/": '{"Hello":"World"}'}
    ),
    "a factory, by variables": Project(
        {"package/main.py": FASTAPI + "\ndef create_app():\n    return app\n"},
        "uvicorn --factory main:create_app --app-dir package",
        {"/": '{"Hello":"World"}'},
        {"UVICORN_PORT": "0", "UVICORN_HOST": "127.0.0.1"},
    ),
    "Starlette": Project(
        {"example.py": STARLETTE}, "uvicorn example:app --port 0", {"/": '{"hello":"world"}'}
    ),
    "Starlette as a program": Project(
        {"example.py": STARLETTE + PROGRAM}, "python example.py", {"/": '{"hello":"world"}'}
    ),
    "Django": Project(DJANGO, "python -m uvicorn mysite.asgi:application --port 0", {"/": "polls"}),
    "Django without a lifespan": Project(
        DJANGO, "uvicorn --lifespan off --port 0 mysite.asgi:application", {"/": "polls"}
    ),
    "Django by WSGI": Project(
        DJANGO, "uvicorn --interface wsgi --port 0 mysite.wsgi:application", {"/": "polls"}
    ),
    "Litestar": Project(
        {"app.py": LITESTAR},
        "uvicorn app:app --port 0",
        {"/": "Hello, world!", "/books/1": '{"book_id":1}'},
    ),
    "Litestar's own command": Project(
        {"app.py": LITESTAR}, "python -m litestar run --port 0", {"/": "Hello, world!"}
    ),
    "Quart": Project({"app.py": QUART}, "uvicorn app:app --port 0", {"/": "hello from quart"}),
    "sse-starlette": Project({"example.py": SSE}, "python example.py", {"/": "data: 5"}),
    "an inference server": Project(
        {"serve.py": INFERENCE}, "python serve.py", {"/health": "ok", "/v1/models": '"requests":1'}
    ),
    "a thread": Project(
        {"main.py": FASTAPI, "run.py": THREAD}, "python run.py", {"/": '{"Hello":"World"}'}
    ),
    "Gradio": Project(
        {"run.py": GRADIO},
        "uvicorn run:app --port 0",
        {"/": "This is your main app", "/gradio/config": '"version"'},
        needs="gradio",
    ),
    "Gradio as a program": Project(
        {
            "run.py": "import gradio as gr\n"
            'demo = gr.Interface(fn=str.upper, inputs="text", outputs="text")\n'
            "demo.launch(server_port=PORT, quiet=True, prevent_thread_lock=True)\n"
            'print("running on http://127.0.0.1:%d" % demo.server_port, flush=True)\n'
            "demo.block_thread()\n"
        },
        "python run.py",
        {"/config": '"version"'},
        {"GRADIO_ANALYTICS_ENABLED": "False"},
        needs="gradio",
    ),
    "MLflow": Project(
        {},
        "uvicorn mlflow.server.fastapi_app:app --host 127.0.0.1 --port 0",
        {"/health": "OK", "/version": "."},
        {"_MLFLOW_SERVER_FILE_STORE": "sqlite:///mlflow.db"},
        needs="mlflow",
    ),
}


def words(command: str) -> list[str]:
    """Replace the one word."""
    python = sys.executable
    ours = {"uvicorn": [python, "-m", "cuvee"], "python": [python, "-m", "cuvee.compat"]}
    first, *rest = command.split()
    if rest[:2] == ["-m", "uvicorn"]:
        return [python, "-m", "cuvee", *rest[2:]]
    return [*ours[first], *rest]


@contextmanager
def running(project: Project, folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run a project in a folder of its own; give the process and the port."""
    free = str(free_port())
    for name, text in project.files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text.replace("PORT", free) if "server_port=PORT" in text else text)
    process = subprocess.Popen(
        words(project.command),
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1", **project.variables},
    )
    assert process.stdout is not None
    output = Output(process.stdout)
    try:
        found = READY.search(COLOR.sub("", output.expect("running on http", 60)))
        assert found is not None
        yield process, int(found[1])
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(WAIT)
        output.wait_for_end()
        assert process.stdin is not None
        process.stdin.close()


def ask(port: int, target: str) -> str:
    """Return the body of a good answer."""
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=WAIT)
    forwarded = {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"}
    client.request("GET", target, headers={"Host": "example.org", **forwarded})
    response = client.getresponse()
    body = response.read().decode()
    client.close()
    assert response.status == 200, body
    return body


@pytest.mark.parametrize("name", PROJECTS)
def test_one_word_is_changed_and_it_runs(name: str, tmp_path: Path) -> None:
    project = PROJECTS[name]
    if project.needs and importlib.util.find_spec(project.needs) is None:
        pytest.skip(f"{project.needs} is not installed: pip install {project.needs}")
    with running(project, tmp_path) as (process, port):
        for target, part in project.answers.items():
            assert part in ask(port, target)
        if process.stdin is not None and "input()" in "".join(project.files.values()):
            process.stdin.write("\n")
            process.stdin.flush()
        else:
            process.send_signal(signal.SIGINT)
        assert process.wait(WAIT) in (0, 130, -signal.SIGINT)
