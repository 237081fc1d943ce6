# SPDX-License-Identifier: MIT
"""A process that serves for a supervisor, as both sides see it.

The parent starts an interpreter, which imports the server and then waits on a pipe. When it may have
the application, the parent sends it a `Job`. The end of the pipe is the end of the parent.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import FrameType, ModuleType
from typing import NoReturn

LENGTH = struct.Struct("=Q")
ORPHAN_SECONDS = 5.0
"""How long a child may go on when its parent is gone."""

STOPS = (signal.SIGINT, signal.SIGTERM)
HELD = (signal.SIGINT, signal.SIGUSR1)
"""What a child gets when it is ready for it."""

COMMAND = (
    "import sys; sys.path[:] = [name for name in sys.path if name] + [{home!r}]; "
    "from cuvee.supervisor.child import main; main()"
)
"""The current directory is the application's: nothing of the server's is to be found there."""


@dataclass(frozen=True)
class Job:
    """What a child is told: how its interpreter shall look, and the configuration."""

    path: list[str]
    arguments: list[str]
    main_module: str | None
    main_file: str | None
    config: bytes
    """A pickled Config, which may need the main module."""
    is_compat: bool
    """Whether cuvee stands in for uvicorn."""


# ---- the parent's side ---------------------------------------------------------------------------


class Child:
    """A child process. It holds no application before `release`."""

    def __init__(self, listeners: Sequence[socket.socket]) -> None:
        """Start an interpreter that inherits the sockets."""
        control, self._control = os.pipe()
        numbers = [control, *(listener.fileno() for listener in listeners)]
        home = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        command = [sys.executable, *_interpreter_options(), "-c", COMMAND.format(home=home)]
        try:
            with _signals_held():
                self._process = subprocess.Popen([*command, *map(str, numbers)], pass_fds=numbers)
        finally:
            os.close(control)
        self.pid = self._process.pid
        self.is_stopping = False
        self.deadline: float | None = None
        """When it is to be killed, on the monotonic clock."""

    def release(self, job: Job) -> None:
        """Let it import the application and serve."""
        message = pickle.dumps(job)
        message = LENGTH.pack(len(message)) + message
        try:
            while message:
                message = message[os.write(self._control, message) :]
        except BrokenPipeError:
            pass  # it has ended; its exit code says why

    def stop(self, seconds: float) -> None:
        """Ask it to stop gracefully, within `seconds`."""
        if not self.is_stopping:
            self.is_stopping = True
            self.deadline = time.monotonic() + seconds
            self._process.terminate()

    def reopen_logs(self) -> None:
        """Ask it to open its log files again."""
        self._process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        """End it at once."""
        self.deadline = None
        self._process.kill()

    def ended(self) -> int | None:
        """Return the exit code, minus the number of a signal, or None while it runs."""
        code = self._process.poll()
        if code is not None:
            self._close()
        return code

    def wait(self) -> None:
        """Wait for its end."""
        self._process.wait()
        self._close()

    def _close(self) -> None:
        if self._control >= 0:
            os.close(self._control)
            self._control = -1


def describe_exit(code: int) -> str:
    """Say in words how a process has ended."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


def make_job(config: bytes) -> Job:
    """Return a job in which the interpreter looks as this one does."""
    main = sys.modules["__main__"]
    module, file = getattr(main.__spec__, "name", None), getattr(main, "__file__", None)
    if _is_command(main):
        module = file = None
    elif file is not None:
        file = os.path.abspath(file)
    compat = sys.modules.get("cuvee.compat")
    is_compat = compat is not None and compat.is_installed()
    return Job(sys.path, sys.argv, module, file, config, is_compat)


def _is_command(main: ModuleType) -> bool:
    """Whether this process is the `cuvee` command, which a child does not need as a module."""
    cli = sys.modules.get("cuvee.cli")
    return cli is not None and getattr(main, "main", None) is cli.main


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """Let a process that starts meanwhile get no SIGINT and SIGUSR1 before it takes them.

    A terminal sends the one to all: an interpreter that has just begun would end with a traceback.
    The other would end it too, and is for whoever has log files.
    """
    former = signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _interpreter_options() -> list[str]:
    """Return the options of this interpreter, which its children get: -O, -W, -X and the like."""
    options: list[str] = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    return options


# ---- the child's side ----------------------------------------------------------------------------


def main() -> NoReturn:
    """Be a child; the arguments are the numbers of the pipe and of the sockets."""
    numbers = [int(argument) for argument in sys.argv[1:]]
    for number in numbers:
        os.set_inheritable(number, False)
    for stop in STOPS:
        signal.signal(stop, _leave_import)
    from cuvee.early_signals import note_reopening

    signal.signal(signal.SIGUSR1, note_reopening)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)  # see _signals_held
    control, *listeners = numbers
    _import_server()
    job = _receive(control)
    if job is None:
        sys.exit(0)
    threading.Thread(target=_end_with_parent, args=(control,), daemon=True).start()
    sys.path[:] = job.path
    sys.argv[:] = job.arguments
    from cuvee.log_file import has_log_files
    from cuvee.runner import load, print_failure, serve_loaded

    try:
        if job.is_compat:
            importlib.import_module("cuvee.compat").install()
        _import_main(job)
        config = pickle.loads(job.config)
        config.configure_logging()
        if not has_log_files():
            signal.signal(signal.SIGUSR1, signal.SIG_DFL)
        load(config)
        for stop in STOPS:
            signal.signal(stop, _leave)
        serve_loaded(config, [socket.socket(fileno=number) for number in listeners])
    except Exception as exc:
        print_failure(exc)
        sys.exit(1)
    sys.exit(0)


def _leave_import(number: int, _: FrameType | None) -> NoReturn:
    # At once: an import may swallow an exception, and the interpreter does so in its callbacks.
    for stream in sys.stdout, sys.stderr:
        with contextlib.suppress(Exception):  # it may be in the middle of a line
            stream.flush()
    os._exit(128 + number)


def _leave(number: int, _: FrameType | None) -> NoReturn:
    # Behind the terminal's SIGINT comes the parent's SIGTERM: amid the exit, or together with it.
    # Not SIG_IGN, of which the interpreter complains when it has already noted the second signal.
    for stop in STOPS:
        signal.signal(stop, _do_nothing)
    sys.exit(128 + number)


def _do_nothing(number: int, _: FrameType | None) -> None:
    pass


def _import_server() -> None:
    """Do what can be done without the application."""
    for name in ("config", "loop", "process_server", "runner"):
        importlib.import_module(f"cuvee.{name}")


def _receive(control: int) -> Job | None:
    """Wait for the job; None: the parent has ended."""
    header = _read(control, LENGTH.size)
    if header is None:
        return None
    message = _read(control, LENGTH.unpack(header)[0])
    if message is None:
        return None
    job: Job = pickle.loads(message)
    return job


def _read(control: int, size: int) -> bytes | None:
    pieces = b""
    while len(pieces) < size:
        piece = os.read(control, size - len(pieces))
        if not piece:
            return None
        pieces += piece
    return pieces


def _end_with_parent(control: int) -> NoReturn:
    # Of two signals, this thread could take both, and the main one would go on with what it waits for.
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    os.read(control, 1)  # nothing comes; it ends with the parent
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(ORPHAN_SECONDS)
    os._exit(1)


def _import_main(job: Job) -> None:
    """Import the parent's main module, whose `if __name__ == "__main__"` is not true here.

    It has the name that multiprocessing gives it, which programs ask for.
    """
    import runpy

    name = "__mp_main__"
    if job.main_module is not None:
        found = runpy.run_module(job.main_module, run_name=name, alter_sys=True)
    elif job.main_file is not None and os.path.exists(job.main_file):
        found = runpy.run_path(job.main_file, run_name=name)
    else:
        return
    main_module = ModuleType(name)
    main_module.__dict__.update(found)
    sys.modules["__main__"] = sys.modules[name] = main_module
