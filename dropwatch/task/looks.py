"""The journal of looks: what was said of each file in this claim, and at which file a planner died.

One file in the envelope's memory, written before and after each look. It gives no authority: what stands in it is
checked as if Bio-Formats had just said it, so that who forges it spoils the plan of their own batch and no more.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropwatch.durable_memory import inside
from dropwatch.formats import Look, Readable, Unreadable
from dropwatch.model import FileFact

JOURNAL = "looks.jsonl"
_LARGEST = (
    64 * 2**20
)  #: bytes; 400,000 single files, or a plate of 600,000. What comes after it is not remembered

_SEEN = 10  #: what a death that the daemon saw counts, of one that it did not see

_Key = tuple[str, int, int]  #: path, size and time of a file: replaced, it is another one


@dataclass
class _Memory:
    """What a journal says.

    state -- of the folder and the reader that the looks hold for
    seen  -- by path
    begun -- how often a look at a file began and nothing came after it: its planner died
    blamed -- how often the daemon saw it die
    last  -- the look that began last and has not ended
    """

    state: str = ""
    seen: dict[str, Look] = field(default_factory=dict)
    begun: Counter[_Key] = field(default_factory=Counter)
    blamed: Counter[_Key] = field(default_factory=Counter)
    last: _Key | None = None


class Journal:
    """The journal of one claim, open for writing. Where it cannot be had (full disk, a link in its place), planning
    goes on without: it costs time, and a file that kills planners then uses up the attempts of its batch."""

    def __init__(self, memory: Path, folder: Path, *, claim: str, state: str, died: bool = False) -> None:
        """memory -- our folder in the envelope; state -- digest of all that a look depends on

        died -- the daemon saw the planner before this one die
        """
        self._folder = str(folder)
        self._descriptor, self._size = -1, 0
        kept = _read(memory / JOURNAL, self._folder, claim)
        if died and kept.last is not None:
            kept.blamed[kept.last] += 1
        self._begun, self._blamed = kept.begun, kept.blamed
        self._seen = kept.seen if kept.state == state else {}
        self._open(memory, fresh=kept.state != state)
        header: dict[str, object] = {"claim": claim, "state": state}
        self._write(header)
        if kept.state != state:
            for key, times in kept.begun.items():
                for _ in range(times):
                    self._write(_named("look", key))
            self._write(header)  # these looks are not ours
        for key, times in kept.blamed.items():
            self._write({**_named("blamed", key), "times": times})

    def seen(self, file: FileFact) -> Look | None:
        """What was said of *file* before; nothing in the folder has changed since."""
        return self._seen.get(file.path)

    def blame(self, file: FileFact) -> int:
        """How much speaks against *file*, as it is now: 1 for each planner that ended while it looked at it, 10 where
        the daemon saw that. Whoever ends the daemon ends its planners as well, and the file need not be guilty."""
        key = file.path, file.size, file.mtime_ns
        return self._begun[key] + (_SEEN - 1) * self._blamed[key]

    def begin(self, file: FileFact) -> None:
        # Not synced, as nothing here is: it has to outlive our process, not the machine. What a power cut
        # takes is looked at again.
        self._write(_named("look", (file.path, file.size, file.mtime_ns)))

    def end(self, file: FileFact, look: Look | None) -> None:
        """*look* None: there was no answer, and the file is not to blame."""
        told = {} if look is None else _plain(look, self._folder, file.path)
        self._write({"seen": file.path, **told})

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self, memory: Path, *, fresh: bool) -> None:
        try:
            with inside(memory.parent, memory.name) as folder:
                self._descriptor = folder.append_to(JOURNAL)
            if fresh:
                os.ftruncate(self._descriptor, 0)
            else:
                self._size = os.fstat(self._descriptor).st_size
        except OSError:
            self.close()

    def _write(self, line: dict[str, object]) -> None:
        # The line end comes first as well: what a dying planner tore must not swallow this line.
        data = f"\n{json.dumps(line)}\n".encode("ascii")
        if self._descriptor < 0 or self._size + len(data) > _LARGEST:
            return
        try:
            self._size += os.write(self._descriptor, data)
        except OSError:
            self.close()


# -- reading: whatever does not fit is as if it had never been written -----------------------------------


def _read(path: Path, folder: str, claim: str) -> _Memory:
    memory, current = _Memory(), False
    begun: dict[str, _Key] = {}
    for line in _lines(path):
        if "claim" in line:
            current = line["claim"] == claim
            if not current:
                memory, begun = _Memory(), {}
            elif line.get("state") != memory.state:
                memory.state, memory.seen = str(line.get("state")), {}
            memory.last = None
        elif current and (key := _key(line, "look")):
            begun[key[0]] = memory.last = key
            memory.begun[key] += 1
        elif current and (key := _key(line, "blamed")) and isinstance(line.get("times"), int):
            memory.blamed[key] = line["times"]
        elif current and (key := begun.pop(str(line.get("seen")), None)):
            memory.begun[key] -= 1
            memory.last = None
            look = _look(line, folder)
            if look is not None:
                memory.seen[key[0]] = look
    return memory


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with inside(path.parent.parent, path.parent.name) as folder:
            data = folder.read(path.name, _LARGEST)
    except OSError:
        return
    for raw in data.splitlines():
        try:
            line = json.loads(raw)
        except (ValueError, RecursionError):
            continue
        if isinstance(line, dict):
            yield line


def _named(what: str, key: _Key) -> dict[str, object]:
    path, size, mtime = key
    return {what: path, "size": size, "mtime": mtime}


def _key(line: dict[str, Any], what: str) -> _Key | None:
    match line:
        case {"size": int(size), "mtime": int(mtime)} if isinstance(line.get(what), str):
            return line[what], size, mtime
    return None


def _plain(look: Look, folder: str, asked: str) -> dict[str, object]:
    told: dict[str, object] = dataclasses.asdict(look)
    top = folder + os.sep
    told["used"] = [path.removeprefix(top) for path in look.used]
    if isinstance(look, Readable) and told["used"] == [asked]:
        del told["used"]  # so it is for nearly all files of a large batch
    return told


def _look(line: dict[str, Any], folder: str) -> Look | None:
    names = line.get("used", [line["seen"]])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    used = tuple(str(Path(folder, name)) for name in names)
    match line:
        case {"unknown": bool(unknown), "reason": str(reason), "detail": str(detail), "remedy": str(remedy)}:
            return Unreadable(unknown, reason, detail, used, remedy)
        case {"format": str(name), "series": int(series), "plate": bool(plate)}:
            return Readable(name, used, series, plate)
    return None
