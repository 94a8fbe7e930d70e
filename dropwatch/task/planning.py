"""From a claimed folder to what is to be imported: reads the manifest, lists the filesets, refuses in words.

Runs in a worker, anew before each attempt. It opens no file but the manifests. In this version one file
is one fileset.
"""

from __future__ import annotations

import hashlib
import os
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from dropwatch import manifest
from dropwatch.config import Config
from dropwatch.errors import DropwatchError, ManifestError
from dropwatch.manifest import Manifest
from dropwatch.model import Batch, FileFact, Fileset, Order, Plan, Problem, Refused
from dropwatch.spool.tree import Snapshot, being_written, read_small, snapshot

DEFAULTS = "defaults.yaml"
_NAMED = 20  #: names in one sentence


class _Refusal(Exception):
    """The batch as a whole cannot be imported."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__()
        self.problems = problems


def plan(config: Config, batch: Batch) -> Plan:
    """What *batch* consists of and where it goes. Raises FileNotFoundError when its folder is gone."""
    folder = batch.envelope.batch_folder
    if folder.is_symlink():
        return Plan(batch.name, None, problems=(_is_link(batch.name),))
    snap = snapshot(folder)
    try:
        read = _manifest(batch, snap)
        order = _order(config, batch, read)
        files, notes = _chosen(read, snap)
        return Plan(
            name=read.name or batch.name,
            order=order,
            filesets=_filesets(files, read),
            refused=tuple(_refused(odd.path, odd.what) for odd in snap.oddities),
            writing=tuple(file.path for file in files if being_written(folder / file.path)),
            notes=(*notes, *_not_told(config, read)),
            notify=read.notify,
            in_groups=_groups_to_prove(config, batch, order.user),
        )
    except _Refusal as refusal:
        return Plan(batch.name, None, problems=refusal.problems)


# -- the manifest --------------------------------------------------------------------------------------


def _manifest(batch: Batch, snap: Snapshot) -> Manifest:
    """The batch's manifest on top of the user's defaults."""
    own = _own_manifest(batch, snap)
    path = batch.spool / batch.envelope.user / DEFAULTS
    defaults = _parsed(path) if path.is_file() and not path.is_symlink() else None
    return manifest.merge(defaults, own)


def _own_manifest(batch: Batch, snap: Snapshot) -> Manifest | None:
    top = [file.path for file in snap.files if "/" not in file.path]
    names = [name for name in top if manifest.is_manifest_name(name) or manifest.loose_stem(name) is not None]
    if len(names) > 1:
        raise _Refusal(Problem(f"There are several manifests: {_some(names)}.", "Keep one of them."))
    if names:
        return _parsed(batch.envelope.batch_folder / names[0])
    alike = [name for name in top if manifest.lookalike(name)]
    if alike:
        raise _Refusal(
            Problem(
                f"{alike[0]} looks like a manifest but is none.",
                f"Did you mean batch.yaml? Rename {alike[0]} to batch.yaml, or take it out of the folder.",
            )
        )
    return None


def _parsed(path: Path) -> Manifest:
    try:
        return manifest.parse(read_small(path, most=manifest.LARGEST), source=path.name)
    except ManifestError as err:
        remedy = (
            "Correct the manifest, then move the folder back to inbox. `dropwatch manifest check` checks one."
        )
        raise _Refusal(
            *(Problem(f"The manifest: {one}", remedy, "ManifestError") for one in err.problems)
        ) from err
    except DropwatchError as err:
        raise _Refusal(Problem(err.message, err.remedy, type(err).__name__)) from err
    except OSError as err:
        raise _Refusal(
            Problem(
                f"{path.name} cannot be read: {err.strerror}.", "Check the permissions of the file.", str(err)
            )
        ) from err


# -- who and where -------------------------------------------------------------------------------------


def _not_told(config: Config, read: Manifest) -> list[str]:
    """A remark on recipients whom the facility does not allow a manifest to name."""
    refused = [address for address in read.notify if not config.may_send_to(address)]
    return [f"No mail went to {_some(refused)}: this facility does not allow it."] if refused else []


def _order(config: Config, batch: Batch, read: Manifest) -> Order:
    if read.from_ is not None:
        raise _Refusal(
            Problem(
                "The manifest says `from:`, and this version of dropwatch cannot fetch files from places yet.",
                "Copy the files into the folder instead.",
            )
        )
    day = time.strftime("%Y-%m-%d", _local(config, batch.claimed_at))
    name = read.name or batch.name
    target = read.target or manifest.default_target(name)
    user = _user(config, batch, read)
    return Order(
        batch=batch.id,
        claim=batch.envelope.claim,
        owner=config.omero_name(user),
        user=user,
        group=read.group,
        folder=str(batch.envelope.batch_folder),
        target=manifest.fill(target, batch=name, folder=batch.name, date=day),
        sender=batch.envelope.user,
        source=batch.name,
        description=read.description,
        tags=read.tags,
        key_values=tuple(read.key_values.items()),
        duplicates=read.duplicates or config.duplicates,
    )


def _local(config: Config, at: float) -> time.struct_time:
    return datetime.fromtimestamp(at, ZoneInfo(config.site.timezone)).timetuple()


def _user(config: Config, batch: Batch, read: Manifest) -> str:
    """Whose images they become. Only an instrument's manifest may say so."""
    sender = batch.envelope.user
    instrument = config.instrument(sender)
    if instrument is None:
        if read.user is not None:
            raise _Refusal(
                Problem(
                    "The manifest says `user:`, which only instruments may.",
                    f"Take the line out; images dropped here belong to {sender}.",
                )
            )
        return sender
    if read.user is None:
        reason = f"{sender} is an instrument, and the manifest does not say whose images these are."
        raise _Refusal(Problem(reason, "Add a line `user: NAME` to the manifest."))
    groups = [who for who in instrument.may_import_for if who.startswith("group:")]
    if read.user not in instrument.may_import_for and not groups:
        remedy = f"Ask the facility to list {read.user} under instruments.{sender}.may_import_for."
        raise _Refusal(Problem(f"{sender} may not import for {read.user}.", remedy))
    return read.user


def _groups_to_prove(config: Config, batch: Batch, user: str) -> tuple[str, ...]:
    """The OMERO groups of which *user* must be in one, where the instrument is not allowed by name."""
    instrument = config.instrument(batch.envelope.user)
    if instrument is None or user in instrument.may_import_for:
        return ()
    return tuple(who.removeprefix("group:") for who in instrument.may_import_for if who.startswith("group:"))


# -- which files ---------------------------------------------------------------------------------------


def _chosen(read: Manifest, snap: Snapshot) -> tuple[list[FileFact], list[str]]:
    """The files to import, and remarks on those left aside. Raises _Refusal when something is missing."""
    if snap.temporary:
        raise _Refusal(
            Problem(
                f"Still being written when the time was up: {_some(snap.temporary)}.",
                "Finish copying, take away what is half copied, then move the folder back to inbox.",
            )
        )
    attached = set(manifest.match(read.attachments, [file.path for file in snap.files]).found.values())
    files = [file for file in snap.files if not _is_ours(file.path) and file.path not in attached]
    notes = [f"Not attached, this version cannot do that yet: {_some(sorted(attached))}."] if attached else []
    if not read.files:
        if not files and not snap.oddities:
            raise _Refusal(Problem("There is no image file in the folder.", "Copy image files into it."))
        return files, notes
    chosen = _as_listed(read, files)
    aside = [file.path for file in files if file not in chosen]
    if aside:
        notes.append(f"Left aside, because the manifest does not list them: {_some(aside)}.")
    return chosen, notes


def _is_ours(path: str) -> bool:
    return "/" not in path and (manifest.is_manifest_name(path) or manifest.loose_stem(path) is not None)


def _as_listed(read: Manifest, files: list[FileFact]) -> list[FileFact]:
    present = {file.path: file for file in files}
    match = manifest.match([file.path for file in read.files], present)
    missing = [_hinted(path, match.hints) for path in match.missing]
    wrong = []
    for listed in read.files:
        file = present.get(match.found.get(listed.path, ""))
        if file and listed.size is not None and listed.size != file.size:
            wrong.append(f"{listed.path} has {file.size} bytes, the manifest says {listed.size}")
    problems = []
    if missing:
        remedy = "Add the files, or take them out of the list; then move the folder back to inbox."
        problems.append(Problem(f"Listed in the manifest but not there: {_some(missing)}.", remedy))
    if wrong:
        remedy = "Copy the files again, or correct the list; then move the folder back to inbox."
        problems.append(Problem(f"Of another size than listed: {_some(wrong, '; ')}.", remedy))
    if problems:
        raise _Refusal(*problems)
    return [present[path] for path in dict.fromkeys(match.found.values())]


def _hinted(path: str, hints: dict[str, str]) -> str:
    return f"{path} (there is {hints[path]})" if path in hints else path


def _filesets(files: list[FileFact], read: Manifest) -> tuple[Fileset, ...]:
    """One fileset for each file, with the checksum that the manifest lists for it."""
    sums = {listed.path: listed.sha256 for listed in read.files if listed.sha256}
    found = manifest.match(sums, [file.path for file in files]).found
    listed = {present: sums[path] for path, present in found.items()}
    return tuple(_fileset(file, listed.get(file.path, "")) for file in files)


def _fileset(file: FileFact, listed: str) -> Fileset:
    text = "\0".join((file.path, str(file.size), str(file.mtime_ns), listed))
    digest = hashlib.sha256(os.fsencode(text)).hexdigest()[:20]
    return Fileset(digest, (file,), ((file.path, listed),) if listed else ())


def _refused(path: str, what: str) -> Refused:
    reason = f"It is {what}, and dropwatch neither follows nor opens such things."
    return Refused(path, reason, "Copy the file itself into the folder.")


def _is_link(name: str) -> Problem:
    return Problem(f"{name} is a link, not a folder.", "Copy the folder itself into inbox.")


def _some(names: tuple[str, ...] | list[str], between: str = ", ") -> str:
    more = len(names) - _NAMED
    return between.join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
