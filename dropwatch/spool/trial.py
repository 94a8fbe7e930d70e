"""A probe batch on its way through the four places, made by the person and moved by the daemon's account.

Only root can act as both; then a child process does it all, so that no thread of ours is ever somebody
else. The probe bears a temporary name: a daemon that runs meanwhile leaves it alone.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dropwatch.litter import is_junk, is_temporary
from dropwatch.model import Place
from dropwatch.spool.accounts import Account, account_of, acting_as

PROBE = ".dropwatch-probe.part"
_PERSON_UMASK = 0o022  #: what most accounts have; the probe shows what comes of it
_DAEMON_UMASK = 0o002  #: as in service/systemd
_PATIENCE = 60.0  #: seconds for the child process
_MOST_STUCK = 20
#: Bytes, because Python would look for the codec of a text now, and the person may not be able to read Python.
_WORDS = b"A probe of `dropwatch check`.\n"


@dataclass(frozen=True)
class Stuck:
    """Something in the inbox that the daemon's account may not take: its *mode* in octal, whose it is."""

    name: str
    mode: str
    owner: str
    folder: bool


@dataclass(frozen=True)
class Trial:
    """How far the probe came.

    step   -- "" it came through; else where it ended: "look", "drop", "claim", "read", "retire", "give back", or
              "child" when the trial itself could not be held
    path   -- what could not be done something with
    reason -- why, in the system's words
    ahead  -- seconds that the file server's clock is ahead of ours; None when nothing could be written
    stuck  -- what lies in the inbox and cannot be taken
    """

    step: str = ""
    path: str = ""
    reason: str = ""
    ahead: float | None = None
    stuck: tuple[Stuck, ...] = ()


class _Ended(Exception):
    def __init__(self, step: str, err: OSError) -> None:
        super().__init__(step)
        self.step = step
        self.path = _closed_above(os.fsdecode(err.filename)) if isinstance(err.filename, (str, bytes)) else ""
        self.reason = err.strerror or str(err)


def _closed_above(path: str) -> str:
    """The uppermost folder above *path* that we may not enter; *path* itself when that is not the reason."""
    return next((str(above) for above in reversed(Path(path).parents) if not _may(above, os.X_OK)), path)


def hold_trial(
    folder: Path, person: Account | None, daemon: Account | None, environ: Mapping[str, str]
) -> Trial:
    """Send a probe batch through the places of the user's *folder*.

    person, daemon -- whom to be when dropping and when claiming; None: whoever we are
    environ -- for the child process, which is given no password of it
    """
    if person is None and daemon is None:
        return _try_out(folder, None, None)
    try:
        asked = {"folder": str(folder), "person": _told(person), "daemon": _told(daemon)}
        answer = _ask_child(asked, environ)
        return Trial(**answer | {"stuck": tuple(Stuck(**one) for one in answer["stuck"])})
    except (OSError, ValueError, subprocess.SubprocessError) as err:
        return Trial("child", str(folder), f"{type(err).__name__}: {getattr(err, 'stderr', None) or err}")


def closed_to(
    account: Account | None, paths: Sequence[Path], environ: Mapping[str, str], *, write: bool
) -> list[Path]:
    """Which of *paths* the account may not read (and enter), with *write* also change. None: we ourselves.

    Raises OSError, ValueError or subprocess.SubprocessError when it cannot be found out.
    """
    wanted = [(str(path), _mode(path, write)) for path in paths]
    if account is None:
        return _closed(wanted)
    answer = _ask_child({"paths": wanted, "daemon": _told(account)}, environ)
    return [Path(path) for path in answer["closed"]]


def _mode(path: Path, write: bool) -> int:
    return os.R_OK | (os.W_OK if write else 0) | (os.X_OK if path.is_dir() else 0)


def _closed(wanted: Iterable[tuple[str, int]]) -> list[Path]:
    return [Path(path) for path, mode in wanted if not _may(path, mode)]


def _ask_child(asked: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "dropwatch.spool.trial"],
        input=json.dumps(asked),
        env={key: value for key, value in environ.items() if not key.startswith("DROPWATCH_")},
        capture_output=True,
        encoding="ascii",
        errors="backslashreplace",
        timeout=_PATIENCE,
        check=True,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _told(account: Account | None) -> dict[str, Any] | None:
    return asdict(account) if account else None


def _heard(told: dict[str, Any] | None) -> Account | None:
    return Account(**told | {"groups": tuple(told["groups"])}) if told else None


# -- in the child, or where nobody else has to be acted ---------------------------------------------------


def _try_out(folder: Path, person: Account | None, daemon: Account | None) -> Trial:
    way = _Way(folder)
    way.clear()
    try:
        with acting_as(daemon, umask=_DAEMON_UMASK):
            way.look()
            stuck = tuple(way.stuck())
        with acting_as(person, umask=_PERSON_UMASK):
            way.drop()
        ahead = way.inbox.stat().st_mtime - time.time()
        with acting_as(daemon, umask=_DAEMON_UMASK):
            way.claim()
        with acting_as(person, umask=_PERSON_UMASK):
            way.give_back()
        return Trial(ahead=ahead, stuck=stuck)
    except _Ended as end:
        return Trial(end.step, end.path, end.reason)
    finally:
        way.clear()


class _Way:
    """The steps of the probe, each done as whoever does it in earnest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inbox, self.processing, self.failed = (
            folder / place / PROBE for place in (Place.INBOX, Place.PROCESSING, Place.FAILED)
        )

    def clear(self) -> None:
        """Remove the probe wherever it lies, this one's and that of a check that was killed."""
        for path in (self.inbox, self.processing, self.failed):
            shutil.rmtree(path, ignore_errors=True)

    def look(self) -> None:
        with _step("look"):
            for place in Place:
                path = self.folder / place
                os.listdir(path)  # noqa: PTH208 - an error of iterdir() would come later, and unnamed
                _demand(path, os.R_OK | os.W_OK | os.X_OK)

    def stuck(self) -> Iterator[Stuck]:
        """What the daemon may not take: moving a folder takes write permission on the folder itself."""
        found = 0
        for entry in sorted(os.scandir(self.folder / Place.INBOX), key=lambda entry: entry.name):
            if is_junk(entry.name) or is_temporary(entry.name) or entry.is_symlink():
                continue
            folder = entry.is_dir(follow_symlinks=False)
            if _may(entry.path, os.R_OK | os.W_OK | os.X_OK if folder else os.R_OK):
                continue
            info = entry.stat(follow_symlinks=False)
            owner = account_of(info.st_uid).name
            yield Stuck(entry.name, f"{stat.S_IMODE(info.st_mode):04o}", owner, folder)
            found += 1
            if found == _MOST_STUCK:
                return

    def drop(self) -> None:
        with _step("drop"):
            self.inbox.mkdir()
            (self.inbox / "probe.txt").write_bytes(_WORDS)

    def claim(self) -> None:
        """As the daemon does it: an envelope, one rename into it, a look inside, and away to failed/."""
        with _step("claim"):
            self.processing.mkdir()
            self.inbox.rename(self.processing / "probe")
        with _step("read"):
            (self.processing / "probe" / "probe.txt").read_bytes()
        with _step("retire"):
            self.processing.rename(self.failed)

    def give_back(self) -> None:
        """As a person does it who wants another try: the envelope moves from failed/ to inbox/."""
        with _step("give back"):
            (self.failed / "probe" / "probe.txt").read_bytes()
            self.failed.rename(self.inbox)


@contextmanager
def _step(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as err:
        raise _Ended(name, err) from err


def _demand(path: Path, mode: int) -> None:
    if not _may(path, mode):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _may(path: str | Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=os.access in os.supports_effective_ids)


def _answer(asked: Mapping[str, Any]) -> dict[str, Any]:
    daemon = _heard(asked["daemon"])
    if "paths" not in asked:
        return asdict(_try_out(Path(asked["folder"]), _heard(asked["person"]), daemon))
    with acting_as(daemon, umask=_DAEMON_UMASK):
        return {"closed": [str(path) for path in _closed(asked["paths"])]}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(_answer(json.load(sys.stdin))))
