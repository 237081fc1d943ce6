# SPDX-License-Identifier: MIT
"""A Quart application of the shape of its tutorials: a blog with forms, sessions and templates, an API of
JSON, files, and streams in both directions."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

from quart import (
    Blueprint,
    Quart,
    Response,
    abort,
    current_app,
    flash,
    g,
    get_flashed_messages,
    jsonify,
    make_response,
    redirect,
    render_template_string,
    request,
    send_file,
    session,
    stream_with_context,
    url_for,
)
from quart.typing import ResponseReturnValue
from werkzeug import Response as WerkzeugResponse

from tests.support.asgi import Notes

POSTS = """{% for message in messages %}<p>{{ message }}</p>{% endfor %}
{% for post in posts %}<h2>{{ post.title }}</h2>{{ post.text }}{% else %}nothing yet{% endfor %}"""


def make_blog() -> Blueprint:
    """The pages of the blog."""
    blog = Blueprint("blog", __name__)

    @blog.get("/")
    async def posts() -> str:
        shown = current_app.extensions["posts"]
        return await render_template_string(POSTS, posts=shown, messages=get_flashed_messages())

    @blog.post("/create")
    async def create() -> WerkzeugResponse:
        if "user" not in session:
            abort(401)
        form = await request.form
        current_app.extensions["posts"].append({"title": form["title"], "text": form["text"]})
        await flash(f"posted by {session['user']}")
        return redirect(url_for("blog.posts"))

    @blog.post("/login")
    async def login() -> WerkzeugResponse:
        session["user"] = (await request.form)["user"]
        return redirect(url_for("blog.posts"))

    @blog.post("/logout")
    async def logout() -> WerkzeugResponse:
        session.clear()
        return redirect(url_for("blog.posts"))

    return blog


def make_api(notes: Notes) -> Blueprint:
    """JSON, and bodies that are taken as they come."""
    api = Blueprint("api", __name__, url_prefix="/api")

    @api.get("/items/<int:number>")
    async def item(number: int) -> ResponseReturnValue:
        return {"number": number, "q": request.args.getlist("q"), "agent": g.agent}

    @api.post("/items")
    async def add() -> ResponseReturnValue:
        data = await request.get_json()
        if not isinstance(data.get("name"), str):
            abort(400)
        return data, 201, {"location": "/api/items/1"}

    @api.post("/files")
    async def files() -> ResponseReturnValue:
        form, sent = await request.form, (await request.files)["file"]
        digest = hashlib.sha256(sent.read()).hexdigest()
        return {"title": form["title"], "name": sent.filename, "sha256": digest}

    @api.post("/upload")
    async def upload() -> ResponseReturnValue:
        size = 0
        try:
            async for part in request.body:
                size += len(part)
                if part:
                    notes.put(part)
        except asyncio.CancelledError:
            notes.put("cancelled")
            raise
        return jsonify(size)

    @api.post("/whole")
    async def whole() -> ResponseReturnValue:
        notes.put("asks")
        try:
            return jsonify(len(await request.body))
        except asyncio.CancelledError:
            notes.put("cancelled")
            raise

    @api.errorhandler(400)
    async def bad(error: Exception) -> ResponseReturnValue:
        return {"error": "bad"}, 400

    return api


def make_streams(notes: Notes) -> Blueprint:
    """Answers in pieces, and handlers that wait."""
    streams = Blueprint("streams", __name__)

    @streams.get("/numbers")
    async def numbers() -> ResponseReturnValue:
        def lines() -> Iterator[str]:
            for number in range(200):
                yield f"{number}\n"

        return lines(), {"content-type": "text/plain"}

    @streams.get("/context")
    async def context() -> ResponseReturnValue:
        @stream_with_context
        async def pieces() -> AsyncGenerator[str, None]:
            yield f"from {request.path}, "
            await asyncio.sleep(0)
            yield f"still {request.path}"

        return pieces(), 200

    @streams.get("/events")
    async def events() -> ResponseReturnValue:
        async def pieces() -> AsyncGenerator[str, None]:
            try:
                yield "event: piece\ndata: 1\n\n"
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                notes.put("cancelled")
                raise
            finally:
                notes.put("closed")

        response = await make_response(pieces(), {"content-type": "text/event-stream"})
        assert isinstance(response, Response)
        response.timeout = None
        return response

    @streams.get("/flood")
    async def flood() -> ResponseReturnValue:
        async def pieces() -> AsyncGenerator[bytes, None]:
            try:
                while True:
                    yield b"x" * 65536
            finally:
                notes.put("closed")

        return Response(pieces())

    @streams.get("/wait")
    async def wait() -> ResponseReturnValue:
        notes.put("waits")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            notes.put("cancelled")
            raise
        return "never"

    return streams


def make_app(notes: Notes, files: Path) -> Quart:
    """Return the application."""
    app = Quart(__name__, static_folder=str(files), static_url_path="/static")
    app.secret_key = "no secret: what it signs is worth nothing"
    for part in (make_blog(), make_api(notes), make_streams(notes)):
        app.register_blueprint(part)

    @app.before_serving
    async def start() -> None:
        app.extensions["posts"] = []
        app.extensions["gate"] = asyncio.Event()
        notes.put("started")

    @app.while_serving
    async def serving() -> AsyncGenerator[None, None]:
        notes.put("serving")
        yield
        notes.put("served")

    @app.after_serving
    async def stop() -> None:
        notes.put("stopped")

    @app.before_request
    async def look() -> None:
        g.agent = request.headers.get("user-agent")

    @app.after_request
    async def sign(response: Response) -> Response:
        response.headers["x-signed"] = "yes"
        return response

    @app.get("/background")
    async def background() -> ResponseReturnValue:
        async def later() -> None:
            await app.extensions["gate"].wait()
            notes.put("background done")

        app.add_background_task(later)
        return "answered", 202

    @app.get("/open-gate")
    async def open_gate() -> str:
        app.extensions["gate"].set()
        return "open"

    @app.get("/sync")
    def sync() -> str:
        return f"sync {request.path}"

    @app.get("/file")
    async def file() -> Response:
        return await send_file(files / "large.bin", conditional=True)

    @app.get("/fail")
    async def fail() -> str:
        raise LookupError("in a handler")

    return app
