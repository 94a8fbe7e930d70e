"""Imports into OMERO with `omero import`, for facilities that have OMERO.java: the contract of base.py.

It asks, attaches and looks people up over Ice as omero.py does. Only the bytes go another way: the Java client
reads and sends them, in a process of its own for each fileset. Written against omero-py 5.23 and the sources of
omero-blitz 5.8; the modules beside this one (omero_cli_*.py) name theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from dropwatch.importers import omero_cli_annotations as annotating
from dropwatch.importers.base import Finding
from dropwatch.importers.omero import OmeroImporter
from dropwatch.importers.omero_cli_doctor import examine
from dropwatch.importers.omero_cli_program import Beside, Program
from dropwatch.importers.omero_cli_run import Run
from dropwatch.importers.omero_errors import DEAD, talking
from dropwatch.importers.omero_session import Session
from dropwatch.model import Answers, Fileset, Imported, Order, Progress


class OmeroCliImporter(OmeroImporter):
    """An Importer for one OMERO server; close() it.

    program -- how to call `omero import`
    beside  -- where an envelope keeps logs, and the lock that its workers hold; None for an order without one
    The other arguments are those of OmeroImporter. Raises ConfigError when the program cannot be called so.
    """

    def __init__(
        self, program: Program, beside: Callable[[Order], Beside | None], *server: Any, **more: Any
    ) -> None:
        program.check()
        super().__init__(*server, **more)
        self._program = program
        self._beside = beside

    def ask(self, order: Order, filesets: Sequence[Fileset]) -> Answers:
        """See base.Importer.ask. What a crash left without annotations gets them now."""
        answers = super().ask(order, filesets)
        there = {
            one.id: found for one in filesets if isinstance(found := answers.found.get(one.id), Imported)
        }
        if not there:
            return answers
        with self._keeper.session(order.owner, order.group, f"it was asked about {order.source}") as session:
            ours = {there[one.id].fileset: one for one in filesets if one.id in there}
            warning = annotating.tried(session, order, ours)
        warned = {key: replace(found, warning=warning) for key, found in there.items() if warning}
        return replace(answers, found={**answers.found, **warned})

    def import_(
        self,
        order: Order,
        fileset: Fileset,
        answers: Answers,
        *,
        progress: Callable[[Progress], None],
        stopped: Callable[[], bool],
    ) -> Imported:
        """See base.Importer.import_."""
        with self._lent(order, f"{fileset.name} was being imported") as session:
            return Run(
                server=self._server,
                program=self._program,
                beside=self._beside(order),
                session=session,
                order=order,
                fileset=fileset,
                container=answers.container,
                progress=progress,
                stopped=stopped,
                clock=self._clock,
            ).carry()

    def diagnose(self, owner: str | None) -> list[Finding]:
        """See base.Importer.diagnose."""
        found = super().diagnose(owner)
        return found if owner is not None else [*found, *examine(self._program, self._server.host)]

    @contextmanager
    def _lent(self, order: Order, doing: str) -> Iterator[Session]:
        """A session for one import. Everybody on this machine may see its key in the list of processes (the
        program hands it to Java as an argument), so it serves nothing else and ends with the import."""
        session = self._login.open(order.owner, order.group)
        with talking(doing):
            try:
                yield session
            except DEAD:
                session.hang_up()
                raise
            finally:
                session.end()
