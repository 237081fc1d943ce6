# SPDX-License-Identifier: MIT
"""A Flask application of the shape of its quickstart: forms, sessions, files, streams, errors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Flask, Response, jsonify, redirect, request, send_file, session, url_for
from flask import stream_with_context as with_context

from tests.support.asgi import Notes


def make_app(notes: Notes, folder: Path) -> Flask:
    """Return the application; it tells `notes` of what clients do not see."""
    app = Flask(__name__)
    app.secret_key = "no secret: what it signs is worth nothing"

    @app.get("/")
    def index() -> dict[str, Any]:
        return {"hello": request.args.get("name", "world")}

    @app.get("/<path:path>/there")
    def where(path: str) -> dict[str, str]:
        return {"path": path, "url": request.url, "root": request.script_root}

    @app.post("/form")
    def form() -> Any:
        session["name"] = request.form["name"]
        return redirect(url_for("name"))

    @app.get("/name")
    def name() -> str:
        return f"<p>{session.get('name', 'nobody')}</p>"

    @app.post("/upload")
    def upload() -> dict[str, str]:
        file = request.files["file"]
        return {"name": file.filename or "", "sha256": hashlib.sha256(file.read()).hexdigest()}

    @app.put("/stream-in")
    def stream_in() -> dict[str, Any]:
        digest, pieces = hashlib.sha256(), 0
        while piece := request.stream.read(65536):
            digest.update(piece)
            pieces += 1
        return {"sha256": digest.hexdigest(), "pieces": pieces}

    @app.get("/stream-out")
    def stream_out() -> Response:
        def pieces() -> Iterator[str]:
            try:
                for number in range(int(request.args.get("count", "5"))):
                    yield f"{number}\n"
            finally:
                notes.put("stream closed")

        return Response(with_context(pieces()), mimetype="text/plain")

    @app.get("/file/<name>")
    def file(name: str) -> Response:
        return send_file(folder / name, conditional=True)

    @app.get("/fail")
    def fail() -> Response:
        raise LookupError("in a view")

    @app.errorhandler(404)
    def not_found(error: Exception) -> Any:
        return jsonify(error=str(error)), 404

    @app.teardown_request
    def teardown(error: BaseException | None) -> None:
        notes.put(f"torn down: {request.path}")

    return app
