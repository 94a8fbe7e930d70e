"""What the manifest of a claimed batch says: whose images these are, where they go. Opens the manifests only."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from dropwatch import manifest, places
from dropwatch.config import Config
from dropwatch.errors import DropwatchError, ManifestError
from dropwatch.manifest import Manifest
from dropwatch.model import Batch, Kind, Order, Problem, Target, Wanted
from dropwatch.spool.tree import Snapshot, read_small
from dropwatch.task.belonging import is_ours
from dropwatch.task.refusals import Hopeless, some

DEFAULTS = "defaults.yaml"


def read_manifest(batch: Batch, snap: Snapshot) -> Manifest:
    """The batch's manifest on top of the user's defaults. Raises Hopeless."""
    own = _own_manifest(batch, snap)
    path = batch.spool / batch.envelope.user / DEFAULTS
    defaults = _parsed(path) if path.is_file() and not path.is_symlink() else None
    if defaults is not None:
        # Defaults hold for every batch, and few have all of these files: they attach what is there.
        there = manifest.match(defaults.attachments, [file.path for file in snap.files]).found
        defaults = defaults.model_copy(update={"attachments": tuple(there)})
    return manifest.merge(defaults, own)


def _own_manifest(batch: Batch, snap: Snapshot) -> Manifest | None:
    for odd in snap.oddities:
        if is_ours(odd.path):
            # Without it everything would go where it says nothing of.
            raise Hopeless(
                Problem(
                    f"The manifest {odd.path} is {odd.what}, and is not read.",
                    "Copy the file itself into the folder.",
                )
            )
    top = [file.path for file in snap.files if "/" not in file.path]
    names = [name for name in top if is_ours(name)]
    inodes = {file.path: file.inode for file in snap.files}
    if len(names) > 1:
        raise Hopeless(Problem(f"There are several manifests: {some(names)}.", "Keep one of them."))
    if names:
        return _parsed(batch.envelope.batch_folder / names[0], inodes[names[0]])
    alike = [name for name in top if manifest.lookalike(name)]
    if alike:
        raise Hopeless(
            Problem(
                f"{alike[0]} looks like a manifest but is none.",
                f"Did you mean batch.yaml? Rename {alike[0]} to batch.yaml, or take it out of the folder.",
            )
        )
    return None


def _parsed(path: Path, inode: int = 0) -> Manifest:
    try:
        return manifest.parse(read_small(path, most=manifest.LARGEST, inode=inode), source=path.name)
    except ManifestError as err:
        remedy = (
            "Correct the manifest, then move the folder back to inbox. `dropwatch manifest check` checks one."
        )
        raise Hopeless(
            *(Problem(f"The manifest: {one}", remedy, "ManifestError") for one in err.problems)
        ) from err
    except DropwatchError as err:
        raise Hopeless(Problem(err.message, err.remedy, type(err).__name__)) from err
    except OSError as err:
        raise Hopeless(
            Problem(
                f"{path.name} cannot be read: {err.strerror}.", "Check the permissions of the file.", str(err)
            )
        ) from err


# -- who and where -------------------------------------------------------------------------------------


def order_of(config: Config, batch: Batch, read: Manifest) -> Order:
    """What to tell the importer of the batch; its target is that of images. Raises Hopeless."""
    user = _user(config, batch, read)
    return Order(
        batch=batch.id,
        claim=batch.envelope.claim,
        owner=config.omero_name(user),
        user=user,
        group=read.group,
        folder=str(batch.envelope.batch_folder),
        target=target_of(config, batch, read, Kind.DATASET),
        sender=batch.envelope.user,
        source=batch.name,
        description=read.description,
        tags=read.tags,
        key_values=tuple(read.key_values.items()),
        duplicates=read.duplicates or config.duplicates,
    )


def wanted_by(config: Config, read: Manifest) -> Wanted | None:
    """What the manifest wants fetched; the place as the configuration spells it, if it knows it."""
    if read.from_ is None:
        return None
    return Wanted(places.called(config, read.from_.place), read.from_.paths)


def target_of(config: Config, batch: Batch, read: Manifest, kind: Kind) -> Target:
    """Where the manifest says that it goes; else to a *kind* named as the batch."""
    day = time.strftime("%Y-%m-%d", _local(config, batch.claimed_at))
    name = read.name or batch.name
    target = read.target or manifest.default_target(name, kind)
    return manifest.fill(target, batch=name, folder=batch.name, date=day)


def _local(config: Config, at: float) -> time.struct_time:
    return datetime.fromtimestamp(at, ZoneInfo(config.site.timezone)).timetuple()


def _user(config: Config, batch: Batch, read: Manifest) -> str:
    """Whose images they become. Only an instrument's manifest may say so."""
    sender = batch.envelope.user
    instrument = config.instrument(sender)
    if instrument is None:
        if read.user is not None:
            raise Hopeless(
                Problem(
                    "The manifest says `user:`, which only instruments may.",
                    f"Take the line out; images dropped here belong to {sender}.",
                )
            )
        return sender
    if read.user is None:
        reason = f"{sender} is an instrument, and the manifest does not say whose images these are."
        raise Hopeless(Problem(reason, "Add a line `user: NAME` to the manifest."))
    groups = [who for who in instrument.may_import_for if who.startswith("group:")]
    if read.user not in instrument.may_import_for and not groups:
        remedy = f"Ask the facility to list {read.user} under instruments.{sender}.may_import_for."
        raise Hopeless(Problem(f"{sender} may not import for {read.user}.", remedy))
    return read.user


def groups_to_prove(config: Config, batch: Batch, user: str) -> tuple[str, ...]:
    """The OMERO groups of which *user* must be in one, where the instrument is not allowed by name."""
    instrument = config.instrument(batch.envelope.user)
    if instrument is None or user in instrument.may_import_for:
        return ()
    return tuple(who.removeprefix("group:") for who in instrument.may_import_for if who.startswith("group:"))


def not_told(config: Config, read: Manifest) -> list[str]:
    """A remark on recipients whom the facility does not allow a manifest to name."""
    refused = [address for address in read.notify if not config.may_send_to(address)]
    return [f"No mail went to {some(refused)}: this facility does not allow it."] if refused else []
