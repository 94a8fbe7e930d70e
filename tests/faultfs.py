"""A file system for tests of faults: a real folder through FUSE, which fails, hangs, lies or vanishes as it is told.

    python -m tests.faultfs BACKING MOUNTPOINT SOCKET

Orders come over the socket, one JSON object a line, each answered by one; faulty_mount.py gives them.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import mfusepy

#: What changes something, or makes it durable; "change" in an order means any of them.
CHANGING = {
    *(
        "create",
        "write",
        "truncate",
        "mkdir",
        "unlink",
        "rmdir",
        "rename",
        "link",
        "symlink",
        "chmod",
        "utimens",
    ),
    *("fsync", "fsyncdir", "flush"),
}
#: They beat on a clock of their own, or belong to the test.
APART = ("*/heartbeat.json*", "*/lock", "*/.dropwatch-trial", "*/.dropwatch-lease*")


@dataclass
class Order:
    """The operations *op* ("change": whatever changes something, "*": any) on *path* fail with *error*.

    skip   -- how many of them go well before
    count  -- how many fail then; -1: all
    after  -- it is done, and reported as failed all the same
    late   -- it is reported as failed, and done when something else is asked for next
    apart  -- files apart (heartbeat, locks) fail too
    """

    op: str
    path: str
    error: int
    skip: int = 0
    count: int = -1
    after: bool = False
    late: bool = False
    apart: bool = False
    met: list[str] = field(default_factory=list)

    def takes(self, op: str, paths: tuple[str, ...]) -> bool:
        if self.op not in (op, "*") and not (self.op == "change" and op in CHANGING):
            return False
        if not self.apart and any(fnmatch(path, one) for path in paths for one in APART):
            return False
        if not any(fnmatch(path, self.path) for path in paths):
            return False
        self.skip -= 1
        if self.skip >= 0 or self.count == 0:
            return False
        self.count -= 1
        self.met.append(f"{op} {paths[-1]}")
        return True


class FaultFS(mfusepy.Operations):
    """Passes everything through to *backing*, as it was ordered."""

    use_ns = True

    def __init__(self, backing: str) -> None:
        self.backing = backing
        self.orders: list[Order] = []
        self.passed: list[str] = []  # what changed something
        self.stale = 0.0  # seconds that what was seen of a name is believed
        self.seen: dict[tuple[str, str], tuple[float, Any]] = {}
        self.waiting: list[Any] = []  # what will be done late
        self.readers: set[int] = set()
        self.guard = threading.RLock()
        self.hangs: Order | None = None  # the call that it hangs in; after that one, everything does
        self.goes_on = threading.Event()
        self.goes_on.set()

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in _OPERATIONS:
            return found

        def operation(*args: Any) -> Any:
            self.hang(name, args)
            with self.guard:
                return self.faulty(name, found, args)

        return operation

    def hang(self, op: str, args: tuple[Any, ...]) -> None:
        """Wait, as a server that is gone makes whoever calls wait: the kernel lets no signal end such a call."""
        if self.hangs is not None and self.hangs.takes(op, tuple(path or "" for path in args[:1])):
            self.hangs = None
            self.goes_on.clear()
        self.goes_on.wait()

    def faulty(self, op: str, do: Any, args: tuple[Any, ...]) -> Any:
        while self.waiting and op not in ("getattr", "statfs", "flush", "release"):
            self.waiting.pop()()
        if op == "flush" and args[-1] in self.readers:
            return do(*args)  # nothing was written
        # A file that is open and has no name any more comes without one.
        paths = tuple(path or "" for path in (args[:2] if op in ("rename", "link") else args[:1]))
        if op in CHANGING and not any(fnmatch(path, one) for path in paths for one in APART):
            self.passed.append(f"{op} {paths[-1]}")
        order = next((order for order in self.orders if order.takes(op, paths)), None)
        if order is None:
            return do(*args)
        if order.after:
            do(*args)
        if order.late:
            self.waiting.append(lambda: do(*args))
        raise OSError(order.error, os.strerror(order.error))

    def _real(self, path: str) -> str:
        return self.backing + path

    def _changed(self, *paths: str) -> None:
        """A client sees its own changes."""
        for path in filter(None, paths):
            for kind, name in list(self.seen):
                if name in (path, os.path.dirname(path)) or name.startswith(f"{path}/"):  # noqa: PTH120
                    del self.seen[kind, name]

    def _believed(self, kind: str, path: str, look: Any) -> Any:
        """What *look* says, or said lately: an error, too."""
        known = self.seen.get((kind, path))
        if known is None or time.monotonic() - known[0] >= self.stale:
            try:
                known = time.monotonic(), look()
            except OSError as err:
                known = time.monotonic(), err
            if self.stale:
                self.seen[kind, path] = known
        if isinstance(known[1], OSError):
            raise OSError(known[1].errno, known[1].strerror)
        return known[1]

    # -- looking -----------------------------------------------------------------------------------------

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        if fh is not None:
            return _attributes(os.fstat(fh))
        return self._believed("stat", path, lambda: _attributes(os.lstat(self._real(path))))

    def readdir(self, path: str, fh: int) -> list[tuple[str, dict[str, int], int]]:
        return self._believed("list", path, lambda: _entries(self._real(path)))

    def readlink(self, path: str) -> str:
        return os.readlink(self._real(path))  # noqa: PTH115

    def statfs(self, path: str) -> dict[str, int]:
        found = os.statvfs(self._real(path))
        names = ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_frsize")
        return {name: getattr(found, name) for name in (*names, "f_namemax")}

    def access(self, path: str, mode: int) -> int:
        return 0

    # -- files -------------------------------------------------------------------------------------------

    def open(self, path: str, flags: int) -> int:
        handle = os.open(self._real(path), flags & ~os.O_CREAT)
        if flags & os.O_ACCMODE == os.O_RDONLY:
            self.readers.add(handle)
        return handle

    def create(self, path: str, mode: int, flags: int = os.O_RDWR) -> int:
        self._changed(path)
        return os.open(self._real(path), flags | os.O_CREAT, mode)

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(fh, size, offset)

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        self._changed(path)
        return os.pwrite(fh, data, offset)

    def truncate(self, path: str, length: int, fh: int | None = None) -> None:
        self._changed(path)
        os.truncate(self._real(path) if fh is None else fh, length)

    def flush(self, path: str, fh: int) -> None:
        pass

    def fsync(self, path: str, datasync: int, fh: int) -> None:
        pass

    def fsyncdir(self, path: str, datasync: int, fh: int) -> None:
        pass

    def release(self, path: str, fh: int) -> None:
        self.readers.discard(fh)
        os.close(fh)

    # -- names -------------------------------------------------------------------------------------------

    def mkdir(self, path: str, mode: int) -> None:
        self._changed(path)
        os.mkdir(self._real(path), mode)  # noqa: PTH102

    def rmdir(self, path: str) -> None:
        self._changed(path)
        os.rmdir(self._real(path))  # noqa: PTH106

    def unlink(self, path: str) -> None:
        self._changed(path)
        os.unlink(self._real(path))  # noqa: PTH108

    def rename(self, old: str, new: str) -> None:
        self._changed(old, new)
        os.rename(self._real(old), self._real(new))  # noqa: PTH104

    def link(self, target: str, source: str) -> None:
        self._changed(target)
        os.link(self._real(source), self._real(target))

    def symlink(self, target: str, source: str) -> None:
        self._changed(target)
        os.symlink(source, self._real(target))  # noqa: PTH211

    def chmod(self, path: str, mode: int) -> None:
        self._changed(path)
        os.chmod(self._real(path), mode)  # noqa: PTH101

    def chown(self, path: str, uid: int, gid: int) -> None:
        os.chown(self._real(path), uid, gid, follow_symlinks=False)

    def utimens(self, path: str, times: tuple[int, int] | None = None) -> None:
        self._changed(path)
        os.utime(self._real(path), ns=times, follow_symlinks=False)


_OPERATIONS = {
    *CHANGING,
    *("getattr", "readdir", "readlink", "statfs", "open", "read", "release", "chown"),
}


def _attributes(info: os.stat_result) -> dict[str, Any]:
    names = ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_ino", "st_blocks")
    times = {name: getattr(info, f"{name}_ns") for name in ("st_atime", "st_mtime", "st_ctime")}
    return {**{name: getattr(info, name) for name in names}, **times}


def _entries(folder: str) -> list[tuple[str, dict[str, int], int]]:
    """What FUSE wants to know of each entry; without its inode number, it would be left out."""
    found = [(".", os.lstat(folder)), ("..", os.lstat(folder))]
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError):
            found.append((entry.name, entry.stat(follow_symlinks=False)))
    return [(name, {"st_mode": info.st_mode, "st_ino": info.st_ino}, 0) for name, info in found]


# -- orders ----------------------------------------------------------------------------------------------


def obey(system: FaultFS, words: dict[str, Any]) -> dict[str, Any]:
    """Do what an order says, and answer."""
    with system.guard:
        match words.pop("do"):
            case "fail":
                words["error"] = getattr(errno, words["error"])
                system.orders.append(Order(**words))
            case "heal":
                met = [one for order in system.orders for one in order.met]
                system.orders.clear()
                return {"met": met}
            case "hang":
                system.hangs = Order(error=0, **words)
            case "go on":
                system.hangs = None
                system.goes_on.set()
            case "hung":
                return {"hung": not system.goes_on.is_set()}
            case "stale":
                system.stale = words["seconds"]
                system.seen.clear()
            case "passed":
                return {"passed": system.passed}
            case "met":
                return {"met": [one for order in system.orders for one in order.met]}
    return {}


def _listen(system: FaultFS, where: str) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(where)
    server.listen()
    while True:
        client, _ = server.accept()
        with client, client.makefile("rw", encoding="utf-8") as line:
            line.write(json.dumps(obey(system, json.loads(line.readline()))) + "\n")


def _end_with_the_test(mountpoint: str) -> None:
    """However the test ends, also by a signal, its end of our standard input is closed then."""
    sys.stdin.buffer.read()
    subprocess.run(["umount", "-l", mountpoint], check=False)
    os._exit(0)


def main() -> None:
    backing, mountpoint, where = sys.argv[1:]
    threading.Thread(target=_end_with_the_test, args=(mountpoint,), daemon=True).start()
    system = FaultFS(backing)
    Path(where).unlink(missing_ok=True)
    threading.Thread(target=_listen, args=(system, where), daemon=True).start()
    mfusepy.FUSE(
        system,
        mountpoint,
        foreground=True,
        nothreads=True,
        allow_other=True,
        use_ino=True,
        hard_remove=True,
        attr_timeout=0,
        entry_timeout=0,
        negative_timeout=0,
        fsname="faultfs",
    )


if __name__ == "__main__":
    main()
