# SPDX-License-Identifier: MIT
"""aiofiles: files by way of the loop's executor."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

pytest.importorskip("aiofiles")

import aiofiles
import aiofiles.os
import aiofiles.tempfile

from tests.libraries.support import MANY, run_clean

LINES = [f"line {number}\n" for number in range(500)]


@pytest.mark.parametrize("debug", [False, True], ids=["", "debug"])
def test_a_file(tmp_path: Path, debug: bool) -> None:
    async def main() -> None:
        path = tmp_path / "file"
        async with aiofiles.open(path, "w") as file:
            await file.writelines(LINES)
        assert path.read_text() == "".join(LINES)
        async with aiofiles.open(path) as file:
            assert [line async for line in file] == LINES
            await file.seek(0)
            assert await file.readline() == LINES[0]
        async with aiofiles.open(path, "r+b") as binary:
            assert await binary.seek(0, 2) == len("".join(LINES))
            assert await binary.truncate(4) == 4
            await binary.seek(0)
            assert await binary.read() == b"line"
        with pytest.raises(FileNotFoundError):
            async with aiofiles.open(tmp_path / "none"):
                pass

    run_clean(main(), debug=debug)


def test_many_tasks(tmp_path: Path) -> None:
    async def main() -> None:
        async def one(number: int) -> str:
            path = tmp_path / str(number)
            async with aiofiles.open(path, "w") as file:
                for _ in range(20):
                    await file.write(f"{number}\n")
            async with aiofiles.open(path) as file:
                return await file.read()

        texts = await asyncio.gather(*map(one, range(MANY)))
        assert texts == [f"{number}\n" * 20 for number in range(MANY)]

    run_clean(main())


def test_folders_and_temporary_files() -> None:
    async def main() -> None:
        async with aiofiles.tempfile.TemporaryDirectory() as folder:
            await aiofiles.os.makedirs(f"{folder}/one/two")
            assert await aiofiles.os.listdir(f"{folder}/one") == ["two"]
            async with aiofiles.tempfile.NamedTemporaryFile("w+b", dir=folder) as file:
                await file.write(b"hello")
                await file.flush()
                assert (await aiofiles.os.stat(str(file.name))).st_size == 5
            assert await aiofiles.os.listdir(folder) == ["one"]
        assert not await aiofiles.os.path.exists(folder)

    run_clean(main())


def test_a_wait_is_cancelled(tmp_path: Path) -> None:
    """The thread that reads a pipe goes on until something comes, and the loop's end waits for it."""

    async def main() -> None:
        path = tmp_path / "pipe"
        os.mkfifo(path)
        async with (
            aiofiles.open(path, "r+b", buffering=0) as pipe,
            aiofiles.open(path, "r+b", buffering=0) as other,
        ):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.02):
                    await pipe.read(1)
            assert await other.write(b"xy") == 2  # one for the thread, one for us
            assert await pipe.read(1) in (b"x", b"y")

    run_clean(main())
