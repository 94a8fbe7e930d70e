"""Attaches files to the dataset or screen of a batch: the file with its key first, its annotation last.

A file of ours with an annotation is complete, for its checksum was compared before; one without is half an
attachment and is deleted. The sequence is that of omero-py's gateway (createOriginalFileFromFileObj), the
server's side omero-server ``RawFileBean.java``: saving hashes what is stored.
"""

from __future__ import annotations

import hashlib
import logging
import mimetypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import omero
import omero.clients
import omero.model
from omero.rtypes import rlong, rstring

from dropwatch.errors import DropwatchError, Interrupted, TemporaryError
from dropwatch.importers import omero_keys, reading
from dropwatch.importers import omero_queries as queries
from dropwatch.importers.omero_checksums import ALGORITHMS, Digest, algorithm_for
from dropwatch.importers.omero_errors import WIRE, explain
from dropwatch.importers.omero_handles import delete_files
from dropwatch.importers.omero_line import Held, Line
from dropwatch.importers.omero_sending import BLOCK, Reporter, Sender, hashing_limit
from dropwatch.importers.omero_session import Session
from dropwatch.importers.omero_settings import NAMESPACE, plain_name
from dropwatch.importers.omero_targets import reference
from dropwatch.model import Attached, Attachment, Container, Kind, Order
from dropwatch.report.words import clean

_log = logging.getLogger(__name__)

_LINK = {Kind.DATASET: omero.model.DatasetAnnotationLinkI, Kind.SCREEN: omero.model.ScreenAnnotationLinkI}
_UNKNOWN = "application/octet-stream"


def take_stock(session: Session, batch: str, attachment: str | None = None) -> dict[str, Attached]:
    """The attachments of *batch* (or one of them) that are complete, by their ids, after half ones are gone."""
    prefix = omero_keys.pattern(batch, attachment)
    files = session.ask(queries.ATTACHMENTS_OF_BATCH, everywhere=True, owner=session.owner_id, prefix=prefix)
    ids = [id for id, _ in files]
    rows = session.ask_in_pages(
        queries.ANNOTATIONS_OF_FILES, "ids", ids, everywhere=True, owner=session.owner_id
    )
    annotated = {file: annotation for file, annotation in rows}  # of several annotations the first
    delete_files(session, [id for id in ids if id not in annotated])
    return {
        omero_keys.fileset_of(path): Attached(annotated[id], id)
        for id, path in reversed(files)  # of several files the first
        if id in annotated
    }


@dataclass(frozen=True)
class Half:
    """A file in OMERO that is no attachment yet. *made*: the server's time, milliseconds."""

    id: int
    batch: str
    made: int


def half(session: Session) -> list[Half]:
    """The half attachments of all batches of the owner's, those that are under way among them."""
    prefix = omero_keys.ANY_BATCH
    files = session.ask(queries.HALF_ATTACHMENTS, everywhere=True, owner=session.owner_id, prefix=prefix)
    return [Half(id, batch, made) for id, path, made in files if (batch := omero_keys.told_by(path)[0])]


@dataclass(frozen=True)
class Attacher:
    """One attachment under way, through *line*. call_wait -- seconds that one call may take"""

    line: Line
    order: Order
    attachment: Attachment
    container: Container
    reporter: Reporter
    stopped: Callable[[], bool]
    call_wait: float

    def attach(self) -> Attached:
        """Attach the file, unless it is attached. Raises what Importer.attach promises, and what OMERO throws."""
        there = take_stock(self.session, self.order.batch, self.attachment.id).get(self.attachment.id)
        if there is not None:
            return there
        self._go_on()
        algorithm = algorithm_for(self.session.algorithms)
        file = self.session.update.saveAndReturnObject(self._file(algorithm)).id.val
        try:
            self._upload(file, algorithm)
            self._go_on()
        except (*WIRE, DropwatchError, OSError):
            self._remove(file)
            raise
        # From here on the file is not deleted: the reply may be lost, and the annotation be there.
        saved = self.session.update.saveAndReturnObject(self._link(file))
        return Attached(saved.child.id.val, file)

    @property
    def session(self) -> Session:
        return self.line.session

    def _go_on(self) -> None:
        if self.stopped():
            raise Interrupted(f"Stopped while {self.attachment.name} was being attached.")

    def _file(self, algorithm: str) -> Any:
        name = plain_name(self.attachment.name)
        file = omero.model.OriginalFileI()
        file.name = rstring(name)
        file.path = rstring(omero_keys.attachment_path(self.order.batch, self.attachment.id))
        file.size = rlong(self.attachment.bytes)
        file.mimetype = rstring(mimetype(name))
        file.hasher = omero.model.ChecksumAlgorithmI()
        file.hasher.value = rstring(algorithm)
        return file

    def _upload(self, file: int, algorithm: str) -> None:
        fact = self.attachment.files[0]
        wanted = dict(self.attachment.listed).get(fact.path)
        digest, listed = ALGORITHMS[algorithm](), hashlib.sha256()
        with reading.opened(self.order.folder_of(self.attachment), fact) as descriptor:
            store = self.line.held(self.session.factory.createRawFileStore())
            try:
                store.now().setFileId(file)
                self._send(store, descriptor, [digest] if wanted is None else [digest, listed])
                limit = hashing_limit(self.call_wait, fact.size)
                saved = store.now().ice_invocationTimeout(limit).save()
            finally:
                self.line.let_go(store)
            reading.check_listed(descriptor, fact, wanted, listed.hexdigest())
        arrived = saved.hash.val if saved is not None and saved.hash is not None else ""
        if arrived != digest.hexdigest():
            raise TemporaryError(
                f"What arrived in OMERO was not what was sent, while {self.attachment.name} was being attached.",
                detail=f"{algorithm} sent {digest.hexdigest()}, arrived {arrived or 'nothing'}",
                code="checksum-differs",
            )

    def _send(self, store: Held, descriptor: int, digests: list[Digest]) -> None:
        # A store does not tell how far it came; a block that it got twice does no harm.
        sender, offset = Sender(self.line, store, lambda begin, end: False), 0
        for block in reading.blocks(descriptor, self.attachment.files[0], BLOCK):
            self._go_on()
            for digest in digests:
                digest.update(block)
            sender.send(block, offset)
            offset += len(block)
            self.reporter.tell("upload", offset, self.attachment.bytes)
        sender.finish()

    def _link(self, file: int) -> Any:
        annotation = omero.model.FileAnnotationI()
        annotation.ns = rstring(NAMESPACE)
        annotation.description = rstring(clean(f"from the folder {self.order.source}"))
        annotation.file = omero.model.OriginalFileI(file, False)
        link = _LINK[self.container.kind]()
        link.parent, link.child = reference(self.container), annotation
        return link

    def _remove(self, file: int) -> None:
        if self.session.hung_up:
            return
        try:
            delete_files(self.session, [file])
        except (*WIRE, DropwatchError) as error:
            _log.debug("leave half attachment batch=%s error=%s", self.order.batch, explain(error))


def mimetype(name: str) -> str:
    """What OMERO is told the file is, by its name; people see it, and OMERO.web shows texts and tables."""
    guessed, encoding = mimetypes.guess_type(name, strict=False)
    if encoding is not None:
        return "application/gzip" if encoding == "gzip" else _UNKNOWN
    return guessed or _UNKNOWN
