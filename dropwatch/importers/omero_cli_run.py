"""Carries one fileset into OMERO by `omero import`: lets it run, follows it, and proves what came of it.

What the program says about the end is not believed by itself: the server is asked for the images under the
fileset's key. After the last byte the server goes on by itself; then the program is killed without a word, and
what became of the import is found out by asking (omero_inventory).
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from dropwatch.errors import DropwatchError, Interrupted
from dropwatch.importers import omero_cli_annotations as annotating
from dropwatch.importers import omero_cli_verdict as verdict
from dropwatch.importers import omero_inventory as inventory
from dropwatch.importers import omero_keys, reading
from dropwatch.importers import omero_queries as queries
from dropwatch.importers.omero_cli_program import Beside, Leashed, Program
from dropwatch.importers.omero_cli_room import HOLDS, Room
from dropwatch.importers.omero_cli_verdict import Ended
from dropwatch.importers.omero_cli_words import Heard
from dropwatch.importers.omero_errors import WIRE
from dropwatch.importers.omero_handles import delete_filesets
from dropwatch.importers.omero_inventory import Seen
from dropwatch.importers.omero_login import Server
from dropwatch.importers.omero_logs import last_lines
from dropwatch.importers.omero_sending import Reporter
from dropwatch.importers.omero_session import Session
from dropwatch.model import Container, FileFact, Fileset, Imported, Kind, Order, Progress

_TICK = 0.1  # seconds between two looks at the program, and at whether to stop
_PING = 60.0  # seconds; the server ends a connection on which nothing happens
_PING_WAIT = 10_000  # milliseconds
_MOST_HELD = 256  # files; a process may not have many more open
_LONGEST = 100_000  # bytes of one argument; Linux allows 128 KiB


@dataclass(frozen=True)
class Run:
    """One import under way.

    session -- made for it alone: the program works in the same one, and its key is worth nothing afterwards
    clock   -- seconds that only ever grow
    """

    server: Server
    program: Program
    beside: Beside | None
    session: Session
    order: Order
    fileset: Fileset
    container: Container
    progress: Callable[[Progress], None]
    stopped: Callable[[], bool]
    clock: Callable[[], float]

    def carry(self) -> Imported:
        """Import the fileset. Raises what Importer.import_ promises, and whatever OMERO throws."""
        if self.stopped():
            raise Interrupted(f"Stopped before {self.fileset.name} was uploaded.")
        with ExitStack() as open_files:
            held = self._hold(open_files)
            heard = Heard()
            code = self._let_it_run(heard, held)
            if heard.may_go_on(len(self.fileset.files)):
                self.session.unfinished.add(self._key)
            if code is None:
                raise self._interrupted()
            seen = self._seen(heard)
            if seen is None:
                raise self._failed(code, heard)
            self.session.unfinished.discard(self._key)
            return self._imported(Ended(code, heard), seen, held)

    @property
    def _key(self) -> tuple[str, str]:
        return self.order.batch, self.fileset.id

    def _hold(self, open_files: ExitStack) -> dict[str, int]:
        """Look at the files: regular ones below the folder, unchanged, as listed. Descriptors by path, of those that
        can be kept open: the program then reads these very files, whatever comes to bear their names meanwhile.
        """
        listed = dict(self.fileset.listed)
        keep = len(self.fileset.files) <= _MOST_HELD and HOLDS
        held: dict[str, int] = {}
        for fact in self.fileset.files:
            with ExitStack() as briefly:
                opened = reading.opened(self.order.folder_of(self.fileset), fact)
                descriptor = (open_files if keep else briefly).enter_context(opened)
                if fact.path in listed:
                    self._compare(descriptor, fact, listed[fact.path])
            if keep:
                held[fact.path] = descriptor
        return held

    def _compare(self, descriptor: int, fact: FileFact, listed: str) -> None:
        digest = hashlib.sha256()
        for block in reading.blocks(descriptor, fact):
            if self.stopped():
                raise Interrupted(f"Stopped before {self.fileset.name} was uploaded.")
            digest.update(block)
        reading.check_listed(descriptor, fact, listed, digest.hexdigest())

    # -- while it runs -----------------------------------------------------------------------------------

    def _let_it_run(self, heard: Heard, held: Mapping[str, int]) -> int | None:
        """The program's exit code; None when it was stopped."""
        room = Room(self.program.temporary)
        try:
            shown = room.show(self.order, self.fileset, held)
            room.let_in(self.server.host, self.server.port, self.session.client.getSessionId())
            if not self.server.secure:
                room.lead_in_the_open(self.server.host, self.server.port)
            command = self.program.line(*self._arguments(), path=next(iter(shown)))
            environment = self.program.environment(room)
            stem = f"{self.fileset.id}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
            with Leashed(command, environment, room, self.beside, stem) as leashed:
                return self._follow(leashed, heard, shown)
        finally:
            shutil.rmtree(room.path, ignore_errors=True)  # the leash does it, if there ever was one

    def _arguments(self) -> list[str]:
        made = ["--output", "yaml", "--encrypted", "true" if self.server.secure else "false"]
        made += ["-r" if self.container.kind is Kind.SCREEN else "-d", str(self.container.id)]
        if self.order.description:
            cut = self.order.description.encode("utf-8", "replace")[:_LONGEST].decode("utf-8", "ignore")
            made.append(f"--description={cut}")
        name = omero_keys.image_name(self.fileset.name)
        return [*made, f"--name={name}"] if name else made

    def _follow(self, leashed: Leashed, heard: Heard, shown: Mapping[str, int]) -> int | None:
        teller = _Teller(Reporter(self.progress, self.clock), shown)
        pinged = self.clock()
        while True:
            code = leashed.ended(_TICK)
            stopping = code is None and self.stopped()
            if stopping:
                leashed.kill()
            for line in leashed.said(last=code is not None):
                heard.hear(line)
            if stopping:
                return None
            teller.tell(heard)
            if code is not None:
                return code
            if self.clock() - pinged > _PING:
                self._ping()
                pinged = self.clock()

    def _ping(self) -> bool:
        try:
            self.session.factory.ice_invocationTimeout(_PING_WAIT).keepAlive(None)
        except WIRE:
            return False
        return True

    # -- after it ended ----------------------------------------------------------------------------------

    def _interrupted(self) -> Interrupted:
        if self._key in self.session.unfinished:
            return Interrupted(
                f"Stopped while OMERO was importing {self.fileset.name}; it goes on by itself."
            )
        self._abandon()
        return Interrupted(f"Stopped while {self.fileset.name} was being uploaded.")

    def _seen(self, heard: Heard) -> Seen | None:
        """The fileset with its images, as the server has it."""
        found = [one for one in inventory.look(self.session, *self._key) if one.images]
        return next((one for one in found if one.id in heard.filesets), next(iter(found), None))

    def _failed(self, code: int, heard: Heard) -> DropwatchError:
        excerpt = last_lines(self.session, heard.log) if heard.err else ""
        error = verdict.sort(Ended(code, heard, excerpt), self.fileset, self.server.host, self._ping)
        if self._key not in self.session.unfinished and not heard.err:
            self._abandon()  # after an ERR it stays until the next ask, for its import log
        return error

    def _abandon(self) -> None:
        """Delete what a broken-off import left, where that is possible."""
        with suppress(*WIRE, DropwatchError):
            inventory.settle(self.session, self.order.batch, inventory.look(self.session, *self._key))

    def _imported(self, ended: Ended, seen: Seen, held: Mapping[str, int]) -> Imported:
        try:
            self._look_again(held)
        except DropwatchError:
            # It read some of the one and some of the other. Nobody has been told of these images yet.
            delete_filesets(self.session, [seen.id])
            raise
        warnings = (
            verdict.doubts(ended, seen.id),
            self._missing_files(seen.id),
            annotating.tried(self.session, self.order, {seen.id: self.fileset}),
        )
        kind = self.container.kind
        made = inventory.images(self.session, [seen.id], kind).get(seen.id, seen.images)
        return Imported(made, seen.id, warning=" ".join(filter(None, warnings)), log=ended.heard.log)

    def _look_again(self, held: Mapping[str, int]) -> None:
        for fact in self.fileset.files:
            if fact.path in held:
                reading.check(held[fact.path], fact)
            else:
                with reading.opened(self.order.folder_of(self.fileset), fact):
                    pass  # being there and unchanged is all

    def _missing_files(self, id: int) -> str:
        rows = self.session.ask(
            queries.FILES_OF_FILESETS, everywhere=True, owner=self.session.owner_id, ids=[id]
        )
        taken, files = rows[0][1] if rows else 0, len(self.fileset.files)
        if taken == files:
            return ""
        return (
            f"OMERO took only {taken} of its {files} files, for OMERO.java has another version of Bio-Formats than"
            " dropwatch; keep the originals."
        )


class _Teller:
    """Tells how far it is whenever it is further. The Java client speaks of whole files only.

    shown -- the size of each file in bytes, by the path that the program was given
    """

    def __init__(self, reporter: Reporter, shown: Mapping[str, int]) -> None:
        self._reporter = reporter
        self._shown = shown
        self._told: dict[str, tuple[int, int]] = {}

    def tell(self, heard: Heard) -> None:
        if not heard.began:
            return
        sent = sum(self._shown.get(path, 0) for path in heard.uploaded)
        self._further("upload", (sent, sum(self._shown.values())))
        if heard.step is not None:
            self._further("server", heard.step)

    def _further(self, stage: str, now: tuple[int, int]) -> None:
        if self._told.get(stage) != now:
            self._told[stage] = now
            self._reporter.tell(stage, *now)
