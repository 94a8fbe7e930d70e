"""Asks the mail server and the image store whether they would serve us, and imports a tiny image when told to.

Whatever it makes there it removes again.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from dropwatch import probe_image
from dropwatch.config import Config
from dropwatch.doctor.findings import Finding, State, ill, of_error, well
from dropwatch.doctor.machine import is_closed
from dropwatch.errors import DropwatchError
from dropwatch.importers.base import Finding as ImporterFinding
from dropwatch.importers.base import Importer
from dropwatch.model import FileFact, Fileset, Imported, Kind, Order, Progress, Target
from dropwatch.outbox import Outbox
from dropwatch.spool.accounts import Account
from dropwatch.spool.folders import Spool, claim_stamp

ARCHIVE = "the archive"
_FILE = "dropwatch-check.ome.tif"


def look_at_mail(outbox: Outbox | None, test_mail: str | None) -> Iterator[Finding]:
    """Whether mails go out. *test_mail*: an address that gets one."""
    subject = "mail server"
    if outbox is None:
        text = "none: the configuration says `mail: null`, so nobody gets mail"
        yield well(subject, text) if test_mail is None else ill(subject, text, "Name a mail host under mail.")
        return
    try:
        outbox.reach()
        yield well(subject, "reached, and it let us in")
        if test_mail is not None:
            outbox.probe(test_mail)
            yield well(subject, f"took over a test mail to {test_mail}")
    except DropwatchError as err:
        yield of_error(subject, err, "Start it, or correct mail.host and mail.port.")
    dead = outbox.counts()["dead"]
    if dead:
        yield ill(
            "letters",
            f"{dead} could not be delivered and {'was' if dead == 1 else 'were'} given up",
            "dropwatch mail list says which and why; dropwatch mail retry sends them again.",
        )


def look_at_store(
    config: Config, importer: Importer, daemon: Account | None, environ: Mapping[str, str]
) -> Iterator[Finding]:
    """Whether OMERO (or the archive) lets us in, and each user. *daemon*: the account that does the work."""
    seen = [_taken_over(one) for one in importer.diagnose(None)]
    yield from seen
    if config.importer == "folder" and config.folder is not None and daemon is not None:
        yield from _archive_of(config.folder.path, daemon, environ)
    if any(one.state is State.NOT_OK for one in seen):
        return  # each user would only say the same again
    for owner in _owners(config):
        for one in map(_taken_over, importer.diagnose(owner)):
            if not any(_says_the_same(one, before) for before in seen):
                seen.append(one)
                yield one


def _archive_of(path: Path, daemon: Account, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the archive is open to the daemon, too: the importer could only try it as this account."""
    if path.is_dir() and is_closed(daemon, [path], environ, write=True):
        yield ill(
            "archive",
            f"{path} is closed to {daemon.name}, who runs the daemon and has to write in it",
            f"chown {daemon.name} {path}, or let a group have it that {daemon.name} is in",
        )


def _says_the_same(one: Finding, before: Finding) -> bool:
    """Each user's examination begins with the server's own, and one fault may show at several of its steps."""
    same = "text" if one.state is State.NOT_OK else "subject"
    return one.state is before.state and getattr(one, same) == getattr(before, same)


def _taken_over(found: ImporterFinding) -> Finding:
    return Finding(State.OK if found.ok else State.NOT_OK, found.subject, found.text, found.remedy)


def _owners(config: Config) -> list[str]:
    """OMERO's names of the people who have a drop folder. Instruments have no account of their own."""
    names: dict[str, None] = {}
    for settings in config.spools:
        if settings.path.is_dir():
            users = Spool(settings.path).users().names
            names |= {config.omero_name(user): None for user in users if config.instrument(user) is None}
    return list(names)


# -- one tiny image --------------------------------------------------------------------------------------


def import_as(
    config: Config, importer: Importer, user: str, clock: Callable[[], float], rng: random.Random
) -> Iterator[Finding]:
    """Import one tiny OME-TIFF as the drop-folder user *user*, see that an image came, and remove it."""
    stamp = claim_stamp(clock(), rng)
    name = f"dropwatch check {stamp}"
    with tempfile.TemporaryDirectory(prefix="dropwatch-check-") as folder:
        path = Path(folder, _FILE)
        path.write_bytes(probe_image.ome_tiff(name))
        info = path.stat()
        fileset = Fileset("check", (FileFact(_FILE, info.st_size, info.st_mtime_ns, info.st_ino),))
        order = Order(
            batch=stamp,
            claim=stamp,
            owner=config.omero_name(user),
            user=user,
            group=None,
            folder=folder,
            target=Target(Kind.DATASET, name=name),
            sender=user,
            source=name,
            description="Made and removed by `dropwatch check`.",
            duplicates="import",
        )
        yield from _there_and_back(importer, order, fileset, store_of(config))


def _there_and_back(importer: Importer, order: Order, fileset: Fileset, store: str) -> Iterator[Finding]:
    subject = f"import as {order.owner}"
    began = False
    try:
        answers = importer.ask(order, [fileset])
        began = True
        imported = importer.import_(order, fileset, answers, progress=_nobody, stopped=lambda: False)
        try:
            there = importer.ask(order, [fileset]).found.get(fileset.id)
        finally:
            importer.discard(order, fileset, imported)
    except DropwatchError as err:
        found = of_error(subject, err)
        left = f" A dataset {order.target.name!r} of {order.owner} may be left in {store}; remove it by hand."
        yield replace(found, remedy=found.remedy + left) if began else found
        return
    if imported.images and isinstance(there, Imported):
        number = "" if store == ARCHIVE else f" (image {imported.images[0].id})"
        yield well(subject, f"a tiny image came{number}, and was removed again")
    else:
        remedy = "See the import log on the server."
        yield ill(subject, "the import ended well, and no image came of it", remedy)


def store_of(config: Config) -> str:
    """Where the images go, as findings call it."""
    return ARCHIVE if config.importer == "folder" else "OMERO"


def _nobody(_: Progress) -> None:
    """Nobody follows this upload: it takes no time."""
