"""Stories that nobody wrote: people, faults and deaths in any order, against one model of what must come of it.

The daemon is a process that is killed for good; people do what they do in folders and at the command line. After each
step each drop lies in one place with its bytes unchanged. In the end, all trouble over, a last daemon brings
everything to where it belongs.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from typer.testing import CliRunner

from dropwatch.cli import app
from tests.crash.stories import PI, corrupt, image, listing
from tests.lives import Life, Trap
from tests.world import Drop, SandboxProcess, World, file_of, leftovers, wait_until

#: Many short intervals: how often something fails must not decide what comes of it here.
SETTINGS: Mapping[str, Any] = {
    "spools": {"settle": "100ms", "sweep": "500ms"},
    "retry": {"import": ["100ms"] * 300, "mail": ["100ms"] * 300},
    "mail": {"send_to": ["*@example.org"]},
}
USERS = ("alice", "bob")
FAULTS: tuple[tuple[str, Mapping[str, object]], ...] = (
    ("omero", {}),
    ("omero", {"refuse": True}),
    ("omero", {"busy": 2}),
    ("omero", {"lose_reply": 1}),
    ("omero", {"drop_after_bytes": 3000}),
    ("omero", {"expire": 1}),
    ("omero", {"checksum": 1}),
    ("omero", {"slow_upload": "300ms"}),
    ("omero", {"slow_after_verify": "600ms"}),
    ("smtp", {}),
    ("smtp", {"refuse": True}),
    ("smtp", {"code": 451, "count": 2}),
)
KINDS = ("plain", "plain", "two", "corrupt", "typo", "listed", "late", "loose", "deep")
PICK = st.integers(0, 5)
SOON = 1.0  #: seconds
PATIENCE = 240.0  #: seconds for the last daemon

_numbers = itertools.count(1)


@dataclass(eq=False)
class Item:
    """What somebody dropped, as the model knows it.

    late      -- a file that its manifest lists and that is not there yet
    cancelled -- somebody cancelled its present claim, which may have come too late
    taken     -- where its owner put it, outside of the spool
    names     -- the names that it was dropped under: each may make a target
    withdrawn -- it was taken out of processing/: its import may be on the server, or half of it
    """

    drop: Drop
    kind: str
    late: tuple[str, bytes] | None = None
    cancelled: bool = False
    taken: Path | None = None
    names: set[str] = field(default_factory=set)
    withdrawn: bool = False

    @property
    def title(self) -> str:
        return f"{self.drop.user}/{self.drop.name}"

    @property
    def ends(self) -> set[str]:
        """Where it may end."""
        good = all(file.good or file.path.endswith((".json", ".yaml")) for file in self.drop.files)
        sound = {"done"} if good and self.kind != "typo" else {"failed"}
        return sound | {"failed"} if self.cancelled else sound


class AnyStory(RuleBasedStateMachine):
    """One example: a fresh world at a sandbox that all examples share."""

    sandbox: SandboxProcess
    folder: Path
    happened: Counter[str]  #: in all examples, by the name of the rule

    def __init__(self) -> None:
        super().__init__()
        number = next(_numbers)
        self.world = World(self.folder / f"world {number}", self.sandbox, SETTINGS, USERS)
        self.desk = self.world.root / "taken"
        self.desk.mkdir()
        self.items: list[Item] = []
        self.life: Life | None = None
        self.deaths = 0
        self.faults: dict[str, Mapping[str, object]] = {"omero": {}, "smtp": {}}
        self.mails_before = len(list((self.sandbox.folder / "mail").glob("*.eml")))
        self.retired: set[tuple[str, str, str]] = set()  #: batch, claim, recipient: who has to be told
        self.story: list[str] = []
        self.began, self.broken = time.monotonic(), False

    @contextmanager
    def step(self, words: str) -> Iterator[None]:
        """A sentence of the story. What a daemon that was faster makes impossible did not happen."""
        self.story.append(f"{time.monotonic() - self.began:6.2f} {words}")
        try:
            yield
            self.happened[sys._getframe(2).f_code.co_name] += 1
        except (FileNotFoundError, FileExistsError, shutil.Error) as err:
            self.story[-1] += f" ... in vain ({type(err).__name__})"
        except BaseException as err:
            self.tell(err)
            raise

    def tell(self, error: object) -> None:
        """Print the story, once, and what came of it: hypothesis tells it anew, and then it may end well."""
        if not self.broken:
            self.broken = True
            spool = self.world.spool
            print("\n".join(["THE STORY", *self.story, f"WENT WRONG: {error}", "WHAT LIES THERE"]))
            print("\n".join(str(path.relative_to(spool)) for path in sorted(spool.rglob("*"))))
            if self.world.log.exists():
                print("THE DAEMONS", self.world.log.read_text("utf-8", "replace")[-12000:], sep="\n")

    # -- the daemon ------------------------------------------------------------------------------------------

    @initialize(
        kinds=st.lists(st.tuples(st.sampled_from(USERS), st.sampled_from(KINDS)), min_size=1, max_size=3),
        dies_at=st.integers(0, 150),
    )
    def begins(self, kinds: list[tuple[str, str]], dies_at: int) -> None:
        for user, kind in kinds:
            self.drop(user, kind)
        self.start(dies_at)

    @rule(dies_at=st.integers(0, 150) | st.just(0))
    def start(self, dies_at: int) -> None:
        """A daemon that dies at the *dies_at*-th point; 0: it does not."""
        if self.is_alive():
            return
        with self.step(f"the daemon starts{f', to die at its point {dies_at}' if dies_at else ''}"):
            self.bury()
            below, notes = (str(self.world.spool), str(self.world.state)), self.world.root / "points.txt"
            trap = Trap(below, notes, at=dies_at) if dies_at else None
            self.life = Life(self.world.config, self.world.log, trap=trap)

    @rule()
    def kill(self) -> None:
        if not self.is_alive():
            return
        with self.step("the daemon is killed"):
            assert self.life is not None
            self.life.kill()
            self.bury()

    @rule()
    def stop(self) -> None:
        if not self.is_alive():
            return
        with self.step("the daemon is stopped"):
            assert self.life is not None
            self.life.stop()
            self.bury()

    @rule(seconds=st.sampled_from((0.05, 0.2, 0.5, 1.0)))
    def passes(self, seconds: float) -> None:
        with self.step(f"{seconds} s pass"):
            if self.life is None or self.life.ends_within(seconds):
                self.bury()

    def is_alive(self) -> bool:
        return self.life is not None and not self.life.ends_within(0)

    def bury(self) -> None:
        """Nobody else may notice that it died: how it died is asked here."""
        if self.life is not None and self.life.ends_within(0):
            code = self.life.end()
            # By SIGTERM: it was told to stop before it had said what it does then. By SIGALRM: lives.py's own bound.
            deaths = (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGALRM)
            assert code == 0 or code in deaths, f"the daemon ended with {code}"
            self.deaths += code != 0
            self.life = None

    # -- trouble ---------------------------------------------------------------------------------------------

    @rule(fault=st.sampled_from(FAULTS))
    def fault(self, fault: tuple[str, Mapping[str, object]]) -> None:
        server, faults = fault
        with self.step(f"{server}: {dict(faults) or 'all well'}"):
            self.faults[server] = faults
            self.sandbox.set_faults(**self.faults)

    @rule(user=st.sampled_from(("", *USERS)), seconds=st.sampled_from((0.0, 0.5, 2.5)))
    def holds(self, user: str, seconds: float) -> None:
        with self.step(f"dropwatch hold {user}, release {seconds} s later"):
            for command in ("hold", "release"):
                assert self._command(command, *([user] if user else [])) == 0
                time.sleep(seconds if command == "hold" else 0)

    # -- people: dropping --------------------------------------------------------------------------------------

    @rule(user=st.sampled_from(USERS), kind=st.sampled_from(KINDS))
    def drop(self, user: str, kind: str) -> None:
        name = f"run {next(_numbers)}"
        with self.step(f"{user} drops {name} ({kind})"):
            item = self._dropped(user, name, kind)
            item.names.add(item.drop.name)
            self.items.append(item)

    def _dropped(self, user: str, name: str, kind: str) -> Item:
        world, stem = self.world, name.replace(" ", "")
        first, second = f"{stem}.ome.tif", f"{stem}.b.ome.tif"
        match kind:
            case "corrupt":
                files = {first: image(world), f"{stem}.bad.tif": corrupt(world)}
                return Item(world.drop(user, name, files, bad=(f"{stem}.bad.tif",)), kind)
            case "typo":
                files = {"batch.yaml": b"taget: Dataset:x\n", first: image(world)}
                return Item(world.drop(user, name, files, bad=(first,)), kind)
            case "listed":
                files = {first: image(world), second: image(world)}
                return Item(world.drop(user, name, {"batch.json": listing(files), **files}), kind)
            case "late":
                files = {first: image(world), second: image(world)}
                there = {"batch.json": listing(files), first: files[first]}
                return Item(world.drop(user, name, there), kind, late=(second, files[second]))
            case "loose":
                return Item(
                    world.drop_loose(user, stem, {first: image(world), f"{stem}.tif": image(world)}), kind
                )
            case "deep":
                return Item(
                    world.drop(user, name, {f"a/{first}": image(world), f"b/{first}": image(world)}), kind
                )
            case "two":
                return Item(world.drop(user, name, {first: image(world), second: image(world)}), kind)
        return Item(world.drop(user, name, {first: image(world)}), kind)

    # What is drawn must not depend on the clock, so a rule draws a number, and does nothing when it means nobody.

    def some(self, pick: int, which: Callable[[Item], bool], *, soon: bool = False) -> Item | None:
        """One of the items for which *which* holds, where there is any, or will be soon."""
        end = time.monotonic() + SOON
        while True:
            able = [item for item in self.items if item.taken is None and which(item)]
            if able or not soon or time.monotonic() > end or not self.is_alive():
                return able[pick % len(able)] if able else None
            time.sleep(0.01)

    def where(self, drop: Drop) -> list[tuple[str, Path]]:
        """Where it lies; whoever looks while the daemon moves something looks again."""
        for _ in range(50):
            with suppress(FileNotFoundError):
                return self.world.whereabouts(drop)
        return self.world.whereabouts(drop)

    def lies_in(self, *places: str) -> Callable[[Item], bool]:
        def lies(item: Item) -> bool:
            found = {place for place, _ in self.where(item.drop)}
            return bool(found) and found <= {*places}

        return lies

    @rule(pick=PICK)
    def comes_late(self, pick: int) -> None:
        item = self.some(pick, lambda item: item.late is not None)
        if item is not None:
            with self.step(f"the rest of {item.title} comes"):
                self._complete(item)

    def _complete(self, item: Item) -> None:
        """Its last file comes to where it lies: somebody may have cancelled it meanwhile."""
        assert item.late is not None
        name, contents = item.late
        (self.desk / name).write_bytes(contents)
        added = file_of(self.desk, name, True)
        wait_until(lambda: self._follows(item, name))
        item.drop, item.late = replace(item.drop, files=(*item.drop.files, added)), None

    def _follows(self, item: Item, name: str) -> bool:
        """Move a file from the desk to the others of *item*; False when these moved away from under it."""
        for _, folder in self.where(item.drop):
            with suppress(FileNotFoundError):
                (self.desk / name).rename(folder / name)
                return True
        return False

    def _add(self, item: Item, name: str, contents: bytes) -> None:
        """Move a file into a folder that still waits in the inbox."""
        path = self.world.root / "desk" / name
        path.write_bytes(contents)
        added = file_of(path.parent, name, True)
        path.rename(self.world.spool / item.drop.user / "inbox" / item.drop.name / name)
        item.drop = replace(item.drop, files=(*item.drop.files, added))

    @rule(pick=PICK)
    def grows(self, pick: int) -> None:
        item = self.some(pick, lambda item: item.kind in ("plain", "two") and self.lies_in("inbox")(item))
        if item is not None:
            with self.step(f"{item.title} grows"):
                self._add(item, f"more{next(_numbers)}.ome.tif", image(self.world))

    @rule(pick=PICK)
    def renames(self, pick: int) -> None:
        item = self.some(pick, lambda item: not item.drop.loose and self.lies_in("inbox")(item))
        if item is not None:
            new = f"run {next(_numbers)}"
            with self.step(f"{item.title} is renamed {new}"):
                inbox = self.world.spool / item.drop.user / "inbox"
                (inbox / item.drop.name).rename(inbox / new)
                item.drop = replace(item.drop, name=new)
                item.names.add(new)

    @rule(pick=PICK)
    def deletes(self, pick: int) -> None:
        item = self.some(pick, lambda item: not item.drop.loose and self.lies_in("inbox")(item))
        if item is not None:
            with self.step(f"{item.title} is deleted"):
                # As file managers do: away first, which is one act, and then piece by piece.
                away = self.desk / item.drop.name
                (self.world.spool / item.drop.user / "inbox" / item.drop.name).rename(away)
                self.items.remove(item)
                shutil.rmtree(away)

    # -- people: what was claimed ------------------------------------------------------------------------------

    @rule(pick=PICK, repaired=st.booleans(), forgets=st.sampled_from(("", "", "record.json", ".")))
    def envelope_back(self, pick: int, repaired: bool, forgets: str) -> None:
        item = self.some(pick, self.lies_in("done", "failed"), soon=True)
        if item is not None:
            words = f"{', mended' if repaired else ''}{f', without {forgets}' if forgets else ''}"
            with self.step(f"{item.title} goes back to inbox in its envelope{words}"):
                envelope = self.world.envelope(item.drop)
                self._note_retired(item)
                if repaired:
                    self._repair(item)
                if forgets:
                    _remove(envelope / ".dropwatch" / forgets)
                envelope.rename(self.world.spool / item.drop.user / "inbox" / envelope.name)
                item.cancelled = False

    @rule(pick=PICK)
    def folder_back(self, pick: int) -> None:
        item = self.some(pick, self.lies_in("done", "failed"), soon=True)
        if item is not None:
            with self.step(f"{item.title} goes back to inbox without its envelope"):
                self._note_retired(item)
                folder = self.where(item.drop)[0][1]
                folder = folder.parent if item.drop.loose else folder
                folder.rename(self.world.spool / item.drop.user / "inbox" / folder.name)
                item.drop = replace(item.drop, name=folder.name, loose=False)
                item.names.add(folder.name)
                item.cancelled = False

    def _repair(self, item: Item) -> None:
        """Replace what is corrupt by good images, where it lies; and a manifest with a typo by none."""
        (_, folder), *_ = self.where(item.drop)
        files = []
        for file in item.drop.files:
            if item.kind == "typo" and file.path == "batch.yaml":
                (folder / file.path).unlink()
            elif item.kind == "typo":
                files.append(replace(file, good=True))
            elif file.good or file.path.endswith((".json", ".yaml")):
                files.append(file)
            else:
                (folder / file.path).unlink()
                (folder / file.path).write_bytes(image(self.world))
                files.append(file_of(folder, file.path, True))
        item.drop = replace(item.drop, files=tuple(files))
        item.kind = "plain" if item.kind in ("typo", "corrupt") else item.kind

    @rule(pick=PICK)
    def copies(self, pick: int) -> None:
        item = self.some(
            pick,
            lambda item: not item.drop.loose and item.late is None and self.lies_in("done", "failed")(item),
            soon=True,
        )
        if item is not None:
            name = f"copy {next(_numbers)}"
            with self.step(f"{item.title} is copied in its envelope, as {name}"):
                envelope, copy = self.world.envelope(item.drop), self.desk / name
                shutil.copytree(envelope, copy)
                (copy / item.drop.name).rename(copy / name)
                files = tuple(
                    replace(file, inode=(copy / name / file.path).stat().st_ino) for file in item.drop.files
                )
                copy.rename(self.world.spool / item.drop.user / "inbox" / f"{name} in its envelope")
                other = Item(replace(item.drop, name=name, files=files), item.kind, names={name})
                self.items.append(other)

    @rule(pick=PICK, whole=st.booleans())
    def takes_away(self, pick: int, whole: bool) -> None:
        item = self.some(
            pick, lambda item: not item.drop.loose and self.lies_in("processing")(item), soon=True
        )
        if item is not None:
            with self.step(f"{item.title} is taken out of processing{' in its envelope' if whole else ''}"):
                (_, folder), *_ = self.where(item.drop)
                source = folder.parent if whole else folder
                away = self.desk / f"{next(_numbers)}" / source.name
                away.parent.mkdir()
                source.rename(away)
                item.taken, item.withdrawn = away, True

    @rule(pick=PICK)
    def puts_back(self, pick: int) -> None:
        taken = [item for item in self.items if item.taken is not None]
        for item in taken[pick % len(taken) :][:1] if taken else ():
            with self.step(f"{item.title} is put back into inbox"):
                assert item.taken is not None
                item.taken.rename(self.world.spool / item.drop.user / "inbox" / item.taken.name)
                item.taken, item.cancelled = None, False

    @rule(pick=PICK, command=st.sampled_from(("retry", "cancel")))
    def commands(self, pick: int, command: str) -> None:
        item = self.some(pick, lambda item: True)
        if item is not None:
            with self.step(f"dropwatch {command} {item.title}"):
                if self.lies_in("done", "failed")(item):
                    self._note_retired(item)
                code = self._command(command, item.title)
                if code == 0:
                    item.cancelled = command == "cancel"

    def _command(self, *words: str) -> int:
        done = CliRunner().invoke(app, ["--config", str(self.world.config), *words])
        self.story[-1] += f" -> {done.exit_code}"
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code

    # -- what always holds -------------------------------------------------------------------------------------

    @invariant()
    def each_drop_is_in_one_place_with_its_bytes(self) -> None:
        for item in self.items:
            if item.taken is None:
                self._settle(lambda item=item: self.world.assert_whole(item.drop))  # type: ignore[misc]

    def _settle(self, check: Callable[[], None]) -> None:
        """Looking takes time, in which a batch may move on: what does not hold for seconds does not hold."""
        for again in (*(True,) * 30, False):
            try:
                check()
                return
            except (AssertionError, FileNotFoundError, StopIteration) as err:
                if not again:
                    self.tell(err)
                    raise
                time.sleep(0.1)

    @invariant()
    def nothing_is_imported_twice(self) -> None:
        contents = {file.sha1 for item in self.items for file in item.drop.files}
        times = Counter(
            (line["user"], line["target"], file["sha1"])
            for line in self.sandbox.imports()
            for file in line["files"]
            if file["sha1"] in contents
        )
        twice = [key for key, number in times.items() if number > 1]
        if twice:
            self.tell(f"imported twice: {twice}")
        assert not twice, f"imported twice: {twice}"

    def _note_retired(self, item: Item) -> None:
        """It came to an end, and now it goes on: but whoever is concerned has to be told of that end."""
        try:
            envelope = self.world.envelope(item.drop)
            batch = self.world.record(envelope)["batch"]
        except (FileNotFoundError, StopIteration, KeyError):
            return
        told = [f"{item.drop.user}@example.org", *([PI] if item.kind in ("listed", "late") else [])]
        self.retired |= {(batch, envelope.name[:20], to) for to in told}

    # -- the end -----------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            if not self.broken:
                with self.step("all trouble ends"):
                    self._comes_to_its_end()
                    self._is_as_it_should_be()
        finally:
            if self.life is not None:
                self.life.kill()
            self.sandbox.set_faults()
            shutil.rmtree(self.world.root, ignore_errors=True)

    def _comes_to_its_end(self) -> None:
        self.sandbox.set_faults()
        for user in ("", *USERS):
            assert self._command("release", *([user] if user else [])) == 0
        for item in self.items:
            if item.late is not None and item.taken is None:
                self._complete(item)
        if not self.is_alive() or self.deaths % 2:  # sometimes the daemon that is there has to do it
            if self.life is not None:
                self.life.kill()
            self.bury()
            self.life = Life(self.world.config, self.world.log)
        wait_until(self._is_quiet, PATIENCE, "everything to be done")

    def _is_quiet(self) -> bool:
        if self.life is not None and self.life.ends_within(0):  # it was to die at a point that came only now
            self.bury()
            self.life = Life(self.world.config, self.world.log)
        drops = [item.drop for item in self.items if item.taken is None]
        moving = any(place in ("inbox", "processing") for drop in drops for place, _ in self.where(drop))
        return not moving and not self.world.envelopes("processing") and not self.world.letters("queued")

    def _is_as_it_should_be(self) -> None:
        assert not self.world.letters("dead")
        here = [item for item in self.items if item.taken is None]
        imported = {(line["user"], file["sha1"]) for line in self.sandbox.imports() for file in line["files"]}
        good = {(item.drop.user, file.sha1) for item in self.items for file in item.drop.files if file.good}
        for item in here:
            self.world.assert_whole(item.drop)
            place = self.world.place(item.drop)
            assert place in item.ends, f"{item.title} is in {place}, not in {item.ends}"
            for file in item.drop.files:
                there = (item.drop.user, file.sha1) in imported
                assert there or not file.good or place != "done", (
                    f"{item.title}: {file.path} is missing in OMERO"
                )
                # Of a copy, the original may have been mended meanwhile.
                mended = (item.drop.user, file.sha1) in good
                assert file.good or mended or not there, f"{item.title}: {file.path} was imported"
            self._note_retired(item)
        self._everybody_was_told()
        self.happened.update(deaths=self.deaths, drops=len(self.items), ends=len(self.retired))
        assert list(leftovers(self.world, [item.drop for item in here if not item.withdrawn])) == []
        for item in self.items:
            for file in item.drop.files if item.taken else ():
                path = item.taken / file.path  # type: ignore[operator]
                path = path if path.exists() else item.taken / item.drop.name / file.path  # type: ignore[operator]
                assert path.stat().st_size == file.size, f"{path} was changed"

    def _everybody_was_told(self) -> None:
        mails = self.sandbox.mails()[self.mails_before :]
        times = Counter((mail.batch, mail.claim, mail.to) for mail in mails if mail.kind == "outcome")
        for key in self.retired:
            assert times[key] >= 1, f"{key} was not told of"
        most = max(Counter(mail.id for mail in mails).values(), default=0)
        assert most <= 1 + self.deaths, f"one letter came {most} times, and only {self.deaths} daemons died"


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()
