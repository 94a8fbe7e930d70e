"""Holds a program on a leash: it never outlives the worker that wants it, whatever becomes of that worker.

A script of its own, started by omero_cli_program.py; it needs nothing but Python's library, so it is there in a
moment. Its standard input is a pipe whose other end only the worker has. When a byte comes, or when that end is
closed, by the worker or by its death, the program and all that it started are killed and what it said is kept;
when it is closed, the program's folder is removed too.
"""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

if sys.platform != "win32":
    import fcntl

OUT, ERR = "out", "err"  #: what the program said, in its folder
NOT_FOUND, NOT_STARTED = 127, 126  #: as a shell says it; a program that died of signal n ended with 128 + n

_KEY = re.compile(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")  # session keys are UUIDs
_HEAD, _TAIL = 64 << 10, 192 << 10  # bytes kept of what it said: how it began, and how it ended
_KEPT = 200  # files


def main(arguments: list[str]) -> int:
    """Run ``FOLDER LOCK LOGS STEM PROGRAM ARGUMENT...`` and print its exit code; LOCK and LOGS may be empty.

    FOLDER -- the program's private folder; it is removed when nobody needs it any more
    LOCK   -- held shared as long as the program, or anything that it started, lives
    LOGS, STEM -- where to keep what it said, as STEM.out and STEM.err
    """
    folder, lock, logs, stem, *command = arguments
    # Whoever ends a whole group of processes politely means the worker; we are needed until it is gone.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    code = _run(command, Path(folder), _held(lock))
    if logs:
        for part in (OUT, ERR):
            with suppress(OSError):
                _keep(Path(folder, part), Path(logs), f"{stem}.{part}")
    with suppress(BrokenPipeError):
        print(code, flush=True)
        while os.read(0, 1):  # the worker still reads what the program said
            pass
    shutil.rmtree(folder, ignore_errors=True)
    return code


def _held(lock: str) -> int:
    """A descriptor to be the program's standard input.

    What the program starts inherits it, and so keeps the lock (`omero` starts Java without closing it).
    """
    if not lock:
        return os.open(os.devnull, os.O_RDONLY)
    descriptor = os.open(lock, os.O_RDWR | os.O_NOFOLLOW)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def _run(command: list[str], folder: Path, stdin: int) -> int:
    """The program's exit code."""
    if select.select([0], [], [], 0)[0]:
        return NOT_STARTED  # the worker died in the meantime; somebody else may have taken over
    with (folder / OUT).open("wb") as out:
        try:
            # A group of its own: to be killed with all that it starts, and without us.
            child = subprocess.Popen(command, stdin=stdin, stdout=out, process_group=0)
        except OSError as error:
            print(f"{command[0]}: {error.strerror}", file=sys.stderr, flush=True)
            return NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_STARTED
    threading.Thread(target=_watch, args=(child.pid,), daemon=True).start()
    code = child.wait()
    _kill(child.pid)
    return code if code >= 0 else 128 - code


def _watch(group: int) -> None:
    """Kill the program when the worker is gone or wants its end.

    Not politely: the Java client would close its handle on the way out, and that cancels an import which the
    server has already begun (omero-blitz ImportLibrary.importImage, HandleI.close).
    """
    os.read(0, 1)
    _kill(group)


def _kill(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):  # macOS refuses for a group of dead processes
        os.killpg(group, signal.SIGKILL)


def _keep(said: Path, logs: Path, name: str) -> None:
    """Store *said* in *logs*: no session key in it, bounded, the oldest make room.

    The user may change what lies in the envelope, and a link there would have us write, and remove, files elsewhere.
    """
    with _folder(logs) as folder:
        with suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
        with os.fdopen(os.open(name, flags, 0o660, dir_fd=folder), "wb") as file:
            file.write(_KEY.sub(b"<key>", _ends(said)))
        times = {
            kept: os.stat(kept, dir_fd=folder, follow_symlinks=False).st_mtime
            for kept in os.listdir(folder)  # noqa: PTH208 - an open folder has no path
        }
        for kept in sorted(times, key=lambda kept: times[kept])[:-_KEPT]:
            os.unlink(kept, dir_fd=folder)


@contextmanager
def _folder(logs: Path) -> Iterator[int]:
    """*logs* in our folder in an envelope, made if need be. Raises OSError where one of the three is a link."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    with ExitStack() as opened:
        folder = os.open(logs.parent.parent, flags)
        opened.callback(os.close, folder)
        for step in (logs.parent.name, logs.name):
            with suppress(FileExistsError):
                os.mkdir(step, dir_fd=folder)
            folder = os.open(step, flags, dir_fd=folder)
            opened.callback(os.close, folder)
        yield folder


def _ends(said: Path) -> bytes:
    """All of it, or its two ends. Whole lines: half a key would not be recognised."""
    with said.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        if size <= _HEAD + _TAIL:
            return file.read()
        head = file.read(_HEAD).rpartition(b"\n")[0]
        file.seek(-_TAIL, os.SEEK_END)
        tail = file.read(_TAIL).partition(b"\n")[2]
    return b"%b\n[... %d bytes left out ...]\n%b" % (head, size - len(head) - len(tail), tail)


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))  # not waiting for the watching thread
