"""Which storage is in trouble, and until when it is left alone: a spool, the state folder, or one corner of a spool.

What an error means, storage.py knows. Here it is found out how much it concerns, who is told, and when it is over.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from dropwatch import storage
from dropwatch.durable import try_writing
from dropwatch.errors import DropwatchError, OperatorError, Unavailable
from dropwatch.model import Place
from dropwatch.pipeline.letters import Letters
from dropwatch.pipeline.pauses import Paused, Pauses
from dropwatch.pipeline.relief import Relief
from dropwatch.spool.folders import IDENTITY, Spool
from dropwatch.spool.lease import ANOTHERS

STATE = "state"
LONGEST = 30.0  #: seconds between two tries whether a storage works again: a try costs next to nothing
#: Seconds. What fails again so soon is the same trouble: a disk at the edge of full is told of once. And a corner that
#: nobody complained of for so long is over it.
RELAPSE = 60.0
_NOT_OURS = ANOTHERS | {"not-served"}  #: codes of errors; the second is daemon/tenure.py's
SHORTEST = 1.0  #: seconds until it is looked whether a corner is over its trouble
FOREVER = float("inf")


def spool_target(root: Path) -> str:
    """The name of a spool among the targets."""
    return f"spool:{root}"


def batch_target(batch: str) -> str:
    """The name of one batch among the targets: its own folder gives trouble, and the spool as a whole does not."""
    return f"batch:{batch}"


@dataclass
class Stores:
    """ring    -- wakes the daemon
    spools  -- by their roots
    where   -- of each target that is left alone here, the folder to try it in
    unswept -- spools in which a move may have been left half done: to be swept before anything more is claimed
    ready   -- those of them that were tried and work again; with the sweep their pause ends
    """

    state: Path
    pauses: Pauses
    letters: Letters
    clock: Callable[[], float]
    say: Callable[..., None]
    works: Callable[[str], None]
    ring: Callable[[], None]
    relief: Relief
    spools: dict[Path, Spool] = field(default_factory=dict)
    where: dict[str, Path | None] = field(default_factory=dict)
    unswept: set[Path] = field(default_factory=set)
    ready: set[Path] = field(default_factory=set)

    # -- what was met --------------------------------------------------------------------------------

    def met(self, error: OSError | DropwatchError, root: Path, corner: str) -> Paused | None:
        """An error came up in work on the spool *root*. What it concerns is left alone: the spool, the state folder,
        or only *corner* (a target's name) where the spool as a whole works. None: no storage is to blame."""
        self.relief.check()
        if isinstance(error, (Unavailable, OperatorError)) and error.code in _NOT_OURS:
            return self._yield(root, error)
        path = _path_of(error)
        if path is not None and path.is_relative_to(self.state) and not path.is_relative_to(root):
            return self.met_in_state(error)
        folder = _ours(root, path)
        sick = self._sick(root, folder, error)
        if sick is not None:
            return self._pause(spool_target(root), sick, folder)
        fault = error
        if isinstance(error, OSError):
            fault = storage.sort(error, f"The folder {path.parent if path else root}", "spool") or error
        return self._pause(corner, fault, folder) if isinstance(fault, (Unavailable, OperatorError)) else None

    def met_in_state(self, error: OSError | DropwatchError) -> Paused | None:
        """The same for the state folder alone."""
        fault = (
            storage.sort(error, f"The state folder {self.state}", STATE)
            if isinstance(error, OSError)
            else error
        )
        if not isinstance(fault, (Unavailable, OperatorError)):
            return None
        path = _path_of(error)
        return self._pause(STATE, fault, path.parent if path else None)

    def _yield(self, root: Path, error: Unavailable | OperatorError) -> Paused:
        """Another daemon serves the spool: it is left alone until a sweep gets it back."""
        name = spool_target(root)
        paused = self.pauses.fail(name, error, self.clock())
        self.forget(name)
        if paused.pause.times == 1:
            self.say("pause", target=name, reason=error.message)
        if isinstance(error, OperatorError):
            self.letters.fault(error, [])
        return paused

    def is_sick(self, root: Path) -> bool:
        """Whether the spool *root* cannot be used now, by a look at it; then it is left alone."""
        sick = self._sick(root, None, Unavailable("", concerns="spool"))
        if sick is not None:
            self._pause(spool_target(root), sick, None)
        return sick is not None

    def _sick(
        self, root: Path, folder: Path | None, error: OSError | DropwatchError
    ) -> Unavailable | OperatorError | None:
        """Why nothing can be done in *root*, whoever's it is; None when it is there and can be written to."""
        store = f"The spool {root}"
        try:
            self.spools.get(root, Spool(root)).check_present()
            if isinstance(error, DropwatchError) or storage.sort(error, store, "spool") is not None:
                _try(root, folder)
        except Unavailable as err:
            return err
        except OSError as err:
            return storage.sort(err, store, "spool") or Unavailable(
                f"{store} cannot be used.", concerns="spool", detail=f"{type(err).__name__}: {err}"
            )
        return None

    def _pause(self, name: str, fault: Unavailable | OperatorError, folder: Path | None) -> Paused:
        paused = self.pauses.fail(name, fault, self.clock(), most=LONGEST, relapse=RELAPSE)
        self.where[name] = folder or self.where.get(name)
        if paused.pause.times == 1:
            self.say("pause", target=name, reason=fault.message, detail=fault.detail or None)
        if name.startswith("spool:"):
            root = Path(name.removeprefix("spool:"))
            self.unswept.add(root)
            self.ready.discard(root)
        if isinstance(fault, OperatorError) and not paused.told:
            self.pauses.told(name)
            self.letters.fault(fault, [])
        return paused

    def low(self, name: str, error: OperatorError) -> bool:
        """The disk of a target has little room left. Says whether that is news."""
        paused = self.pauses.fail(name, error, self.clock(), most=LONGEST, relapse=RELAPSE)
        self.where[name] = None
        self.pauses.told(name)
        return not paused.told

    # -- what has to wait ------------------------------------------------------------------------------

    def holding(self, root: Path, corner: str) -> Paused | None:
        """What keeps *corner* of the spool *root* waiting. A spool waits until it was tried and works; a corner
        tries itself when its time has come."""
        return self.pauses.get(spool_target(root)) or self.pauses.blocked((corner,), self.clock())

    def waits(self, root: Path) -> float:
        """Seconds until it is worth looking into the inboxes of the spool *root*; 0.0: now. After trouble it is swept
        first: what a claim that broke has left behind goes on, before anything of it is taken for a new drop."""
        paused = self.pauses.get(spool_target(root))
        if paused is not None:
            return max(SHORTEST, paused.pause.until - self.clock())
        return SHORTEST if root in self.unswept else 0.0

    def holding_letters(self) -> Paused | None:
        """What keeps letters from being written."""
        return self.pauses.get(STATE)

    # -- sweeping ----------------------------------------------------------------------------------------

    def wants_sweep(self, root: Path) -> bool:
        """Whether the spool *root* is to be swept at once."""
        return root in self.unswept and (root in self.ready or self.pauses.get(spool_target(root)) is None)

    def may_sweep(self, root: Path) -> bool:
        """Called before a sweep: False while the spool is left alone. What another daemon has is not ours to try."""
        if spool_target(root) in self.where and root not in self.ready:
            return False
        self.unswept.discard(root)
        return True

    def forget(self, name: str) -> None:
        """The target *name* is somebody else's trouble from now on, or works."""
        self.where.pop(name, None)
        if name.startswith("spool:"):
            self.ready.discard(Path(name.removeprefix("spool:")))

    # -- whether it works again ------------------------------------------------------------------------

    def probe(self) -> float:
        """Try what it is time to try; returns when something is due next (epoch seconds)."""
        for paused in self.pauses.all():
            if (
                paused.pause.over(self.clock())
                and paused.name in self.where
                and not self._is_ready(paused.name)
            ):
                self._probe(paused)
        left = [one for one in self.pauses.all() if one.name in self.where and not self._is_ready(one.name)]
        return min((max(one.pause.until, self.clock() + SHORTEST) for one in left), default=FOREVER)

    def _is_ready(self, name: str) -> bool:
        return name.startswith("spool:") and Path(name.removeprefix("spool:")) in self.ready

    def _probe(self, paused: Paused) -> None:
        name, kind = paused.name, paused.name.partition(":")[0]
        if kind == "spool":
            root = Path(name.removeprefix("spool:"))
            with self.relief.is_at(root, "its folders"):
                sick = self._sick(root, self.where.get(name), Unavailable("", concerns="spool"))
            if sick is None:
                self.ready.add(root)
                self.ring()
            else:
                self._pause(name, sick, None)
        elif kind == STATE:
            self._probe_state()
        elif self.clock() > paused.pause.until + RELAPSE:
            self.works(name)

    def _probe_state(self) -> None:
        try:
            where = self.where.get(STATE)
            try_writing(where if where is not None and where.is_dir() else self.state)
        except OSError as err:
            self.met_in_state(err)
        else:
            self.works(STATE)


def _path_of(error: OSError | DropwatchError) -> Path | None:
    """What it happened to; of a rename, where it was to go."""
    if not isinstance(error, OSError):
        return None
    name = error.filename2 or error.filename
    return Path(name) if isinstance(name, str) else None


def _try(root: Path, folder: Path | None) -> None:
    """Write where everybody's drop folders lie; who may not do that, writes where it failed."""
    try:
        try_writing(root, beside=IDENTITY)
    except PermissionError:
        if folder is not None:
            with suppress(PermissionError):
                try_writing(folder)


def _ours(root: Path, path: Path | None) -> Path | None:
    """Where we may write on behalf of the user that *path* belongs to: never where users drop things."""
    if path is None or not path.is_relative_to(root) or path == root:
        return None
    return root / path.relative_to(root).parts[0] / Place.PROCESSING
