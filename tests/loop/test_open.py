# SPDX-License-Identifier: MIT
"""A loop that cannot be opened: one clear error, and nothing left behind."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import warnings

import pytest

import cuvee

NEEDED = 8
"""Descriptors that must be free for a new loop, what libuv takes once per process included."""


@pytest.mark.parametrize("free", range(10))
def test_without_descriptors_the_error_is_an_oserror_and_nothing_stays_open(free: int) -> None:
    cuvee.new_event_loop().close()  # libuv's process-wide part stays open
    taken: list[int] = []
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    before = set(os.listdir("/dev/fd"))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        for fd in taken[:free]:
            os.close(fd)
        del taken[:free]
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            if free < NEEDED:
                with pytest.raises(OSError, match="Too many open files") as caught:
                    cuvee.new_event_loop()
                assert caught.value.errno == errno.EMFILE
            else:
                cuvee.new_event_loop().close()
    finally:
        for fd in taken:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert set(os.listdir("/dev/fd")) == before


FIRST_LOOP = """
import os, resource
import cuvee

cuvee.Loop  # imported before the descriptors are gone
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
taken = []
try:
    while True:
        taken.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
for fd in taken[:3]:
    os.close(fd)
try:
    cuvee.new_event_loop()
except OSError as exc:
    print(exc.strerror)
"""


def test_the_first_loop_of_a_process_does_not_abort_it_without_descriptors() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FIRST_LOOP], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "Too many open files\n"), done.stderr
