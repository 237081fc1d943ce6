# SPDX-License-Identifier: MIT
"""Loops for the tests: what asyncio promises is checked on its own loop too."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

import cuvee
from tests.loop.support import Contexts, nothing_stays_open

MakeLoop = Callable[[], asyncio.AbstractEventLoop]
FACTORIES: dict[str, MakeLoop] = {
    "cuvee": cuvee.new_event_loop,
    "asyncio": asyncio.SelectorEventLoop,
}


@pytest.fixture(scope="session", autouse=True)
def _first_loop() -> None:
    """What is opened once per process is: libuv's descriptors, but no loop that nobody asked for."""
    cuvee.new_event_loop().close()
    asyncio.set_event_loop(None)  # before 3.14, get_event_loop() would make one


@pytest.fixture(autouse=True)
def _leak_check() -> Iterator[None]:
    """No test of a loop leaves a descriptor behind."""
    with nothing_stays_open() if sys.platform == "linux" else nullcontext():
        yield


@pytest.fixture(params=FACTORIES)
def loop_factory(request: pytest.FixtureRequest) -> MakeLoop:
    """What makes a loop; the test closes it."""
    return FACTORIES[request.param]


def _closing(factory: MakeLoop) -> Iterator[asyncio.AbstractEventLoop]:
    loop = factory()
    yield loop
    if not loop.is_closed():
        loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


@pytest.fixture
def loop(loop_factory: MakeLoop) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop of cuvee's, then one of asyncio's, closed after the test."""
    yield from _closing(loop_factory)


@pytest.fixture
def own_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop of cuvee's, for what it promises beyond asyncio."""
    yield from _closing(cuvee.new_event_loop)


@pytest.fixture
def contexts(loop: asyncio.AbstractEventLoop) -> Contexts:
    """What the exception handler of `loop` is told."""
    contexts = Contexts()
    loop.set_exception_handler(contexts.keep)
    return contexts


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of its own for localhost, with its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate with")
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = f"{openssl} req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    command += f" -addext subjectAltName=DNS:localhost -keyout {key} -out {cert}"
    subprocess.run(command.split(), check=True, capture_output=True, timeout=60)
    both = folder / "both.pem"
    both.write_bytes(key.read_bytes() + cert.read_bytes())
    return both
