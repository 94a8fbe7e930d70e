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
from contextlib import suppress
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
    descriptor = os.open(lock, os.O_RDWR)
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
    """Store *said* in *logs*: no session key in it, bounded, the oldest make room."""
    logs.mkdir(exist_ok=True)
    (logs / name).write_bytes(_KEY.sub(b"<key>", _ends(said)))
    oldest = sorted(logs.iterdir(), key=lambda path: path.stat().st_mtime)[:-_KEPT]
    for path in oldest:
        path.unlink()


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
