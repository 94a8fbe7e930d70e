"""Is a drop complete? Pure: one look, how long nothing changed, and the rules of the spool.

Only a manifest that lists its files proves completeness; without one, a quiet period on our own clock
does duty.
A file's own times are compared with each other, never with our clock.
"""

from __future__ import annotations

from dataclasses import dataclass

from dropwatch.model import FileFact, ListedFile
from dropwatch.report.notices import WRITING
from dropwatch.report.words import duration


@dataclass(frozen=True)
class Rules:
    """All in seconds. *manifest_only*: this user's batches wait for a manifest, always."""

    settle: float
    tell: float
    fail: float
    manifest_only: bool = False


@dataclass(frozen=True)
class Sight:
    """What one look at a drop saw.

    manifest -- there is one
    hidden   -- files of it that may be being written, though little speaks for it
    whole    -- it proves itself whole (settling at once is possible)
    garbled  -- why it cannot be read (yet), else ""
    listed   -- the files it lists, if it lists any
    fetches  -- all files of the batch are fetched after the claim: there is nothing here to wait for
    """

    files: tuple[FileFact, ...]
    temporary: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    manifest: bool = False
    whole: bool = False
    garbled: str = ""
    listed: tuple[ListedFile, ...] = ()
    missing: tuple[str, ...] = ()  #: what is not as listed, in words, one a file
    fetches: bool = False


@dataclass(frozen=True)
class Ready:
    """To be claimed now. *lacking* names what is missing, where the bound has passed."""

    lacking: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settling:
    """Look again in *wait* seconds. *lacking* is what to tell the user, once, when *tell*.

    bounded -- it is given up when `rules.fail` has passed
    """

    wait: float
    lacking: tuple[str, ...] = ()
    tell: bool = False
    bounded: bool = False


def judge(sight: Sight, unchanged: float, rules: Rules) -> Ready | Settling:
    """Whether a drop that did not change for *unchanged* seconds is complete."""
    lacking = _lacking(sight, rules)
    if lacking:
        return _incomplete(lacking, unchanged, rules, bounded=lacking != (_NO_MANIFEST,))
    if _proven(sight):
        return Ready()
    if sight.hidden and unchanged < rules.tell:
        # Settings of some program, most likely: they are left aside then, and nobody need be told before.
        why = f"{duration(rules.tell)} without a change, because it is hidden and may be half written"
        return Settling(rules.tell - unchanged, tuple(f"{name} ({why})" for name in sight.hidden))
    return Ready() if unchanged >= rules.settle else Settling(rules.settle - unchanged)


_NO_MANIFEST = "the manifest (batch.yaml)"


def _lacking(sight: Sight, rules: Rules) -> tuple[str, ...]:
    lacking = [f"{name} {WRITING}" for name in sight.temporary]
    lacking += sight.missing
    if sight.garbled:
        lacking.append(f"a manifest that can be read ({sight.garbled})")
    if not sight.files:
        lacking.append("any file")
    elif rules.manifest_only and not sight.manifest:
        lacking.append(_NO_MANIFEST)
    return tuple(lacking)


def _proven(sight: Sight) -> bool:
    listed = sight.listed
    if sight.whole and sight.fetches:
        return True
    return sight.whole and bool(listed) and all(file.size is not None for file in listed)


def _incomplete(
    lacking: tuple[str, ...], unchanged: float, rules: Rules, *, bounded: bool
) -> Ready | Settling:
    if bounded and unchanged >= max(rules.fail, rules.settle):
        return Ready(lacking)
    tell = unchanged >= rules.tell
    bounds = [bound - unchanged for bound in (rules.tell, rules.fail) if bound > unchanged]
    return Settling(max(0.1, min(bounds, default=rules.tell)), lacking, tell, bounded)
