# SPDX-License-Identifier: MIT
"""What a process does once for itself: its file, its name, its user, the mode of its files."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from cuvee.log_file import give_log_files_away
from cuvee.process_name import find_setter
from cuvee.users import User, find_group, find_user

if TYPE_CHECKING:
    from cuvee.config import Config

logger = logging.getLogger("uvicorn.error")

_DIGITS = 20
"""No process has a longer number."""


class PidFile:
    """A file with the number of this process, which goes with it."""

    def __init__(self, path: str) -> None:
        """Write it; OSError says why that can't be done."""
        self.path = os.path.abspath(path)  # the application may change the directory
        self._number = f"{os.getpid()}\n".encode()
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(self.path, flags, 0o644)
        except OSError as exc:
            raise _explain(exc, f"error while attempting to write pid file {path!r}") from None
        with os.fdopen(fd, "wb") as file:
            file.write(self._number)

    def remove(self) -> None:
        """Remove the file, unless it names another process by now.

        Who has changed the user meanwhile may not be allowed to: then it stays, and is empty.
        """
        try:
            with open(self.path, "rb") as file:
                if file.read(_DIGITS) != self._number:
                    return
            os.unlink(self.path)
        except OSError:
            with contextlib.suppress(OSError):
                os.truncate(self.path, 0)


@contextlib.contextmanager
def pid_file(config: Config) -> Iterator[None]:
    """Have the file of `config.pid_file` for the time of the block; OSError: it can't be."""
    assert config.pid_file is not None
    file = PidFile(config.pid_file)
    try:
        if config.user is not None:
            _give_away(file.path, find_user(config.user))
        yield
    finally:
        file.remove()


def set_up(config: Config) -> None:
    """Do what `config` says about the process; OSError: it can't be.

    Sockets are bound before that, and the application is imported after it.
    """
    if config.umask is not None:
        os.umask(config.umask)
    if config.proc_name is not None:
        find_setter(config.proc_name)(config.proc_name)
    _become(config)


def _give_away(path: str, user: User) -> None:
    """Let the user of later on empty the file."""
    if user.number != os.geteuid():
        with contextlib.suppress(PermissionError):  # _become will say it
            os.chown(path, user.number, -1)


def _become(config: Config) -> None:
    """Change user and group, for good."""
    user = find_user(config.user) if config.user is not None else None
    if config.group is not None:
        _change_groups(user, find_group(config.group), config.group)
    elif user is not None:
        group = user.group if user.group is not None else os.getegid()
        _change_groups(user, group, str(group))
    if user is not None and (user.number != os.getuid() or user.number != os.geteuid()):
        give_log_files_away(user.number)
        try:
            os.setuid(user.number)
        except OSError as exc:
            raise _explain(exc, f"error while attempting to become user {config.user}") from None


def _change_groups(user: User | None, group: int, name: str) -> None:
    if os.geteuid() != 0 and group == os.getegid():
        return  # only root may leave groups
    try:
        if user is not None and user.name is not None:
            os.initgroups(user.name, group)
        else:
            os.setgroups([group])
        os.setgid(group)
    except OSError as exc:
        raise _explain(exc, f"error while attempting to become group {name}") from None


def _explain(exc: OSError, what: str) -> OSError:
    return OSError(exc.errno, f"{what}: {(exc.strerror or str(exc)).lower()}")
