# SPDX-License-Identifier: MIT
"""--env-file: variables for the application, from a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import cuvee
from tests.beside_uvicorn.both import NAMES
from tests.server import applications
from tests.support.asgi import WAIT
from tests.support.raw import RawClient
from tests.support.server_process import ServerProcess

APPLICATION = """
import os
found = os.environ.get("OF_A_FILE", ""), os.environ.get("OF_BOTH", "")

async def app(scope, receive, send):
    body = "|".join(found).encode()
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""


@pytest.mark.parametrize("name", NAMES)
def test_the_application_finds_them(tmp_path: Path, name: str) -> None:
    """What is in the environment already stays; options of the server do not come from the file."""
    (tmp_path / "shown.py").write_text(APPLICATION)
    (tmp_path / "file.env").write_text(
        "# a comment\nexport OF_A_FILE='a b'\nOF_BOTH=file\nUVICORN_PORT=1\n"
    )
    arguments = ("shown:app", "--env-file", "file.env", "--port", "0")
    env = {"OF_BOTH": "environment"}
    with ServerProcess(*arguments, module=name, cwd=tmp_path, env=env) as server:
        with RawClient(("127.0.0.1", server.wait_until_running())) as client:
            assert client.ask().body == b"a b|environment"
        assert server.stop() == 0
        assert server.errors()[0] == "INFO:     Loading environment from 'file.env'"


def test_config_takes_any_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.env"
    path.write_text("OF_A_FILE=there\n")
    monkeypatch.delenv("OF_A_FILE", raising=False)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    config = cuvee.Config(applications.hello, env_file=path, log_config=None)
    assert config.env_file == str(path)
    assert os.environ["OF_A_FILE"] == "there"


def test_trusted_proxies_may_come_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.env"
    path.write_text("FORWARDED_ALLOW_IPS=192.0.2.1\n")
    monkeypatch.delenv("FORWARDED_ALLOW_IPS", raising=False)
    monkeypatch.setattr(os, "environ", os.environ.copy())
    config = cuvee.Config(applications.hello, env_file=path, log_config=None)
    assert config.forwarded_allow_ips == "192.0.2.1"


def failing(folder: Path, *arguments: str, python: tuple[str, ...] = ()) -> str:
    """Return the one line of a command that fails."""
    command = [sys.executable, *(python or ("-m", "cuvee")), "a:b", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WAIT, cwd=folder)
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    return line


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"A=\xe9\n")
    prefix = "cuvee: error: --env-file cannot be read: "
    assert failing(tmp_path, "--env-file", "no") == f"{prefix}No such file or directory: 'no'"
    assert failing(tmp_path, "--env-file", ".") == f"{prefix}Is a directory: '.'"
    assert (
        failing(tmp_path, "--env-file", "latin") == "cuvee: error: --env-file is not UTF-8: 'latin'"
    )


WITHOUT = "import sys; sys.modules['dotenv'] = None; import cuvee; sys.exit(cuvee.main())"


def test_without_python_dotenv(tmp_path: Path) -> None:
    line = failing(tmp_path, "--env-file", "file.env", python=("-c", WITHOUT))
    assert line == "cuvee: error: --env-file needs python-dotenv: pip install 'cuvee[dotenv]'"


def test_what_is_no_path() -> None:
    with pytest.raises(ValueError, match="env_file must be a path, not 3"):
        cuvee.Config(applications.hello, env_file=3)  # type: ignore[arg-type]
