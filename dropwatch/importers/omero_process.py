"""Carries one fileset through an OMERO import process: key first, upload, verify, follow, read the ids.

After verifyUpload the server goes on by itself: from there on nothing is taken back, and what happened is
found out by asking (omero_inventory). The sequence is that of OMERO's developer documentation (ImportFS) and
of omero-blitz ManagedImportProcessI.java; an import process stays open until its handle has answered, so that
a later ask can find it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import Ice
import omero
import omero.clients
import omero.cmd
import omero.grid
import omero.model

from dropwatch.errors import DropwatchError, Interrupted, TemporaryError
from dropwatch.importers import omero_inventory as inventory
from dropwatch.importers import omero_queries as queries
from dropwatch.importers.omero_checksums import algorithm_for
from dropwatch.importers.omero_errors import WIRE, without_keys
from dropwatch.importers.omero_handles import responses
from dropwatch.importers.omero_line import Held, Line
from dropwatch.importers.omero_logs import last_lines
from dropwatch.importers.omero_refusals import sort_refusal
from dropwatch.importers.omero_sending import Reporter
from dropwatch.importers.omero_session import Session
from dropwatch.importers.omero_settings import fileset_model, settings
from dropwatch.importers.omero_upload import Upload
from dropwatch.model import Container, Fileset, Image, Imported, Kind, Order, Progress

_FEW = 1000  # files of a fileset


@dataclass(frozen=True)
class Carrier:
    """One import under way, through *line*.

    call_wait -- seconds that one call may take
    patience  -- seconds that the server may take after the upload before this attempt gives up following
    clock     -- seconds that only ever grow
    """

    line: Line
    order: Order
    fileset: Fileset
    container: Container
    progress: Callable[[Progress], None]
    stopped: Callable[[], bool]
    call_wait: float
    patience: float
    clock: Callable[[], float]

    def carry(self) -> Imported:
        """Import the fileset. Raises what Importer.import_ promises, and whatever OMERO throws."""
        if self.stopped():
            raise Interrupted(f"Stopped before {self.fileset.name} was uploaded.")
        algorithm = algorithm_for(self.session.algorithms)
        process = self.line.held(self._start(algorithm))
        try:
            handle = self._upload(process, algorithm)
        except Ice.LocalException:
            raise  # the connection is not to be relied on; the next ask closes and deletes
        except (Ice.Exception, DropwatchError):
            self._abandon(process)
            raise
        return self._follow(process.now(), handle)

    @property
    def session(self) -> Session:
        return self.line.session

    @property
    def _key(self) -> tuple[str, str]:
        return self.order.batch, self.fileset.id

    @property
    def _limit(self) -> int:
        """Milliseconds for a call in which the server does something for each file."""
        return int((self.call_wait + 0.05 * len(self.fileset.files)) * 1000)

    def _start(self, algorithm: str) -> Any:
        wanted = settings(self.session, self.order, self.fileset, self.container, algorithm)
        repository = self.session.repository.ice_invocationTimeout(self._limit)
        return repository.importFileset(fileset_model(self.order, self.fileset), wanted)

    def _upload(self, process: Held, algorithm: str) -> Any:
        folder, reporter = self.order.folder_of(self.fileset), Reporter(self.progress, self.clock)
        upload = Upload(
            self.line, process, folder, self.fileset, algorithm, reporter, self.stopped, self.call_wait
        )
        checksums = upload.send()
        if self.stopped():
            raise Interrupted(f"Stopped after {self.fileset.name} was uploaded.")
        self.session.unfinished.add(self._key)  # before the call: its reply may be lost
        # Never a second time: the server would begin a second import (ManagedImportProcessI.verifyUpload).
        return process.now().ice_invocationTimeout(self._limit).verifyUpload(checksums)

    def _abandon(self, process: Held) -> None:
        self.session.unfinished.discard(self._key)
        if self.session.hung_up:
            return  # the next ask closes and deletes
        self.line.let_go(process)
        with suppress(DropwatchError):
            inventory.remove(self.session, self.order.batch, self.fileset.id)

    def _follow(self, process: Any, handle: Any) -> Imported:
        response = self._wait(handle)
        self.session.unfinished.discard(self._key)
        try:
            fileset, log = self._made_as(handle)
            if isinstance(response, omero.cmd.ERR):
                return self._after_error(response, fileset, log)
            return Imported(self._made(response, fileset), fileset, log=log)
        finally:
            for part in (handle, process):
                with suppress(*WIRE):
                    part.close()

    def _made_as(self, handle: Any) -> tuple[int, int | None]:
        """OMERO's ids of the fileset and of its import log."""
        if len(self.fileset.files) <= _FEW:
            request = handle.getRequest()
            log = request.logFile.id.val if request.logFile is not None else None
            return request.activity.parent.id.val, log
        # The request brings every file of the fileset along, 640 bytes and many objects each.
        newest = max(one.id for one in inventory.look(self.session, *self._key))
        logs = self.session.ask(
            queries.LOG_OF_FILESET, everywhere=True, owner=self.session.owner_id, id=newest
        )
        return newest, logs[0][0] if logs else None

    def _wait(self, handle: Any) -> Any:
        reporter = Reporter(self.progress, self.clock)
        end = self.clock() + self.patience
        for response in responses(self.session, handle):
            if response is not None:
                return response
            if self.stopped():
                break
            if self.clock() > end:
                raise TemporaryError(
                    f"OMERO is taking too long to import {self.fileset.name}.", code="server-slow"
                )
            if reporter.due():
                status = handle.getStatus()
                reporter.tell("server", status.currentStep, status.steps)
        raise Interrupted(f"Stopped while OMERO was importing {self.fileset.name}; it goes on by itself.")

    def _made(self, response: Any, fileset: int) -> tuple[Image, ...]:
        objects = response.objects or () if isinstance(response, omero.grid.ImportResponse) else ()
        plates = tuple(_image(one, "Plate") for one in objects if isinstance(one, omero.model.PlateI))
        images = tuple(_image(one, "Image") for one in objects if isinstance(one, omero.model.ImageI))
        if self.container.kind is Kind.SCREEN and plates:
            return plates
        return images or inventory.images(self.session, [fileset], self.container.kind).get(fileset, ())

    def _after_error(self, err: Any, fileset: int, log: int | None) -> Imported:
        """A later step failed, or nothing was made: the images tell."""
        there = inventory.images(self.session, [fileset], self.container.kind).get(fileset)
        if there:
            message = err.parameters.get("message", "")
            return Imported(there, fileset, warning=without_keys(f"{err.name} {message}".strip()), log=log)
        raise sort_refusal(err, self.fileset, last_lines(self.session, log), log)


def _image(model: Any, kind: str) -> Image:
    return Image(model.id.val, model.name.val if model.name is not None else "", kind)
