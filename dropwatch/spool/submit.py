"""Drops a batch as a person would, but whole: the daemon sees nothing of it before all of it is on the disk.

The files are copied into ``inbox/.NAME.part``, a name that holds a batch back, then comes a manifest that lists
them, then one rename. Whatever dies before that leaves nothing that could be imported.
"""

from __future__ import annotations

import os
import shlex
import shutil
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path, PurePosixPath
from typing import TypedDict, Unpack

from dropwatch import manifest
from dropwatch.durable import fsync_directory, write_durably
from dropwatch.errors import PermanentError
from dropwatch.model import ListedFile, Place
from dropwatch.spool.batch_name import called, folder_name, numbered
from dropwatch.spool.copying import Progress, Source, copy, share, sources
from dropwatch.spool.folders import Spool
from dropwatch.spool.moves import InUse, move
from dropwatch.spool.permissions import check_name
from dropwatch.spool.tree import read_small

MANIFEST = "batch.json"
_PATIENCE = (
    0.1,
    0.2,
    0.5,
    1.0,
    2.0,
    4.0,
)  #: seconds to wait while a virus scanner holds what we wrote (Windows)


@dataclass(frozen=True)
class Wishes:
    """What the manifest is to say, but for its files. *owner*: whose batch it is, where an instrument drops it."""

    name: str | None = None
    target: str | None = None
    group: str | None = None
    description: str = ""
    tags: Sequence[str] = ()
    key_values: Mapping[str, str] | None = None
    notify: Sequence[str] = ()
    duplicates: str | None = None
    owner: str | None = None

    def keys(self) -> dict[str, object]:
        """The keys of the manifest that were given."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        given["user"] = given.pop("owner")
        lists = {key: list(given[key]) for key in ("tags", "notify")}
        return {
            key: value
            for key, value in {**given, **lists, "key_values": dict(self.key_values or {})}.items()
            if value
        }


class Wished(TypedDict, total=False):
    """What may be said of a batch when it is submitted."""

    name: str | None
    target: str | None
    group: str | None
    description: str
    tags: Sequence[str]
    key_values: Mapping[str, str] | None
    notify: Sequence[str]
    duplicates: str | None


def submit(
    files: Iterable[str | os.PathLike[str]],
    *,
    spool: str | os.PathLike[str],
    user: str,
    checksums: bool = True,
    progress: Progress | None = None,
    **wished: Unpack[Wished],
) -> Path:
    """Copy *files* as one batch into the inbox of *user* below *spool*; returns the batch's folder there.

    files     -- files and folders. One folder is the batch itself; beside others, a folder stays a folder
    checksums -- list the SHA-256 of each file, computed while copying
    progress  -- is told the file at hand, bytes copied so far, bytes in all
    wished    -- name: what the batch is called; default: as the folder, or the folder that the files come from.
                 target, group, description, tags, key_values, notify, duplicates: as in a manifest

    What lies in the inbox is never touched: a second batch of that name gets a number. Files that bring a
    ``batch.yaml`` keep it; then nothing of a manifest can be given here. Raises Unavailable (the spool is not
    mounted), ManifestError, PermanentError (no such drop folder; links and the like, each by name; no space),
    TemporaryError (a file changed while it was copied), OSError.
    """
    wishes = Wishes(**wished)
    paths = [Path(os.path.abspath(path)) for path in files]  # noqa: PTH100 - resolve() would follow links
    return _drop(paths, _inbox(Path(spool), user), wishes, checksums, progress or (lambda *_: None))


def submit_from(
    place: str,
    paths: Sequence[str],
    *,
    spool: str | os.PathLike[str],
    user: str,
    owner: str | None = None,
    **wished: Unpack[Wished],
) -> Path:
    """Drop a batch whose files the daemon fetches itself; returns its folder in the inbox of *user* below *spool*.

    place -- a place of the daemon's configuration
    paths -- files and folders below that place, '/'-separated
    owner -- whose batch it is, where *user* is an instrument that may import for others
    wished -- as in submit()

    Only a manifest is written: it takes no longer for 200 GB. Whether the place is there, who may use it and what lies
    there, the daemon finds out. Raises as submit() does.
    """
    wishes = Wishes(**wished, owner=owner)
    keys = {**wishes.keys(), "from": {"place": place, "paths": list(paths)}}
    manifest.compose(keys)  # before a name is made of what is not right
    title = wishes.name or called([PurePosixPath("/", place, path.replace("\\", "/")) for path in paths])
    if title.isprintable():
        keys = {"name": title, **keys}
    data, inbox = manifest.compose(keys), _inbox(Path(spool), user)
    with _reserved(inbox, folder_name(title)) as part:
        write_durably(part / MANIFEST, data, mode=0o666)
        share(part / MANIFEST, inbox)
        return _commit(part, inbox, folder_name(title))


def submit_staged(
    folder: Path,
    listed: Sequence[ListedFile],
    wishes: Wishes,
    *,
    spool: Path,
    user: str,
    intend: Callable[[str], None],
) -> Path:
    """Drop *folder*, which lies on the spool's file system with all its files on the disk, by renaming it.

    listed -- its files, all of them
    intend -- is told, before each rename, the name that it would give; when *folder* is gone afterwards, it did

    Returns the batch's folder in the inbox. Raises as submit() does.
    """
    inbox, keys = _inbox(spool, user), wishes.keys()
    named = {"name": folder.name, **keys} if folder.name.isprintable() else keys
    brought = _brought_manifest([Source(folder / one.path, one.path, one.size or 0) for one in listed], keys)
    for below in sorted({path for one in listed for path in (folder / one.path).parents}):
        if below.is_relative_to(folder):
            fsync_directory(below)
    try:
        if not brought:
            write_durably(folder / MANIFEST, manifest.compose(named, listed), mode=0o666)
            share(folder / MANIFEST, inbox)
        return _commit(folder, inbox, folder_name(wishes.name or folder.name), intend)
    except BaseException:  # what is put right meanwhile would no longer be what it lists
        if not brought:
            (folder / MANIFEST).unlink(missing_ok=True)
        raise


def _drop(paths: list[Path], inbox: Path, wishes: Wishes, checksums: bool, progress: Progress) -> Path:
    found, keys = sources(paths), wishes.keys()
    manifest.compose(keys)  # before anything is copied, so that a slip of the finger costs no hour
    brought = _brought_manifest(found, keys)
    _check_space(inbox, found)
    title = wishes.name or called(paths)
    if title.isprintable():
        keys = {"name": title, **keys}
    with _reserved(inbox, folder_name(title)) as part:
        listed = copy(found, part, checksums=checksums, progress=progress)
        if not brought:
            write_durably(part / MANIFEST, manifest.compose(keys, listed), mode=0o666)
            share(part / MANIFEST, inbox)
        return _commit(part, inbox, folder_name(title))


# -- where to --------------------------------------------------------------------------------------------


def _inbox(root: Path, user: str) -> Path:
    """The inbox of *user*, whatever the case of the name."""
    check_name(user)
    spool = Spool(root)
    try:
        spool.check_present()
        inbox = spool.folder(user, Place.INBOX)
        if inbox.is_dir():
            return inbox
        alike = [name for name in spool.users().names if _folded(name) == _folded(user)]
    except PermissionError as err:
        raise _no_entry(str(err.filename), user) from err
    if not alike:
        raise PermanentError(
            f"There is no drop folder for {user} in {root}.",
            remedy=f"Name the right user, or ask the facility for one (`dropwatch user add {shlex.quote(user)}`).",
        )
    return spool.folder(alike[0], Place.INBOX)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _no_entry(path: str, user: str) -> PermanentError:
    return PermanentError(
        f"You may not drop anything for {user}: no permission for {path}.",
        remedy=f"Ask the facility to run `dropwatch user add {shlex.quote(user)}`, which gives it.",
        code="permission",
    )


def _check_space(inbox: Path, found: Sequence[Source]) -> None:
    needed, free = sum(one.size for one in found), shutil.disk_usage(inbox).free
    if needed > free:
        raise PermanentError(
            f"The files need {needed / 1e9:.1f} GB, and only {free / 1e9:.1f} GB are free in {inbox}.",
            remedy="Submit fewer files, or tell the facility.",
        )


# -- one rename --------------------------------------------------------------------------------------------


def _brought_manifest(found: Sequence[Source], keys: Mapping[str, object]) -> bool:
    """Whether the files bring a manifest of their own, which then has to be right and to stand alone."""
    own = [one for one in found if "/" not in one.place and _is_manifest(one.place)]
    if not own:
        return False
    if keys.keys() - {"name"}:
        raise PermanentError(
            f"{own[0].path} says already what {', '.join(sorted(keys.keys() - {'name'}))} would say.",
            remedy="Write it there, or leave that file out.",
        )
    # The way there is the user's own, links and all; only the file itself may be none.
    there = own[0].path.parent.resolve() / own[0].path.name
    manifest.parse(read_small(there, most=manifest.LARGEST), source=str(own[0].path))
    return True


def _is_manifest(name: str) -> bool:
    return manifest.is_manifest_name(name) or manifest.loose_stem(name) is not None


@contextmanager
def _reserved(inbox: Path, name: str) -> Iterator[Path]:
    """A folder to fill, as _reserve() makes it; if it is not dropped in the end, it goes."""
    part = _reserve(inbox, name)
    try:
        yield part
    except BaseException:  # Ctrl-C too: half a batch is of no use to anybody
        shutil.rmtree(part, ignore_errors=True)
        raise


def _reserve(inbox: Path, name: str) -> Path:
    """Make the folder to copy into, under a name that holds the batch back and that nobody else uses."""
    for candidate in numbered(name):
        part = inbox / f".{candidate}.part"
        try:
            part.mkdir()
        except FileExistsError:
            continue
        except PermissionError as err:
            raise _no_entry(str(err.filename), inbox.parent.name) from err
        share(part, inbox)
        return part
    raise AssertionError("there is always one more number")


def _commit(part: Path, inbox: Path, name: str, intend: Callable[[str], None] = lambda _: None) -> Path:
    """Give the batch its name. This one rename is the drop."""
    waits = iter(_PATIENCE)
    for candidate in numbered(name):
        while not os.path.lexists(inbox / candidate):
            intend(candidate)
            try:
                move(part, inbox / candidate)
                return inbox / candidate
            except FileExistsError:
                break
            except InUse:
                wait = next(waits, None)
                if wait is None:
                    raise
                time.sleep(wait)
    raise AssertionError("there is always one more number")
