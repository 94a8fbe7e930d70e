"""Which file of a batch is its manifest, by its name alone."""

from __future__ import annotations

import re
import unicodedata

MANIFEST = re.compile(r"batch\.(ya?ml|json)(\.txt)?", re.IGNORECASE)  # Windows' editor adds .txt
LOOSE = re.compile(r"(?P<stem>.+)\.batch\.(ya?ml|json)(\.txt)?", re.IGNORECASE | re.DOTALL)

ENDINGS = re.compile(r"(\.(ya?ml|json|txt|rtf|docx?|odt))+", re.IGNORECASE)
# Second copies by file managers: batch (1).yaml, batch - Copy.yaml, Copy of batch.yaml, batch copy 2.yaml
COPIES = re.compile(
    r"^copy of |\s*\(\d+\)$|(\s+-)?\s+(copy|copie|kopie|copia)(\s+\(?\d+\)?)?$", re.IGNORECASE
)


def is_manifest_name(name: str) -> bool:
    """``batch.yaml``, ``.yml`` or ``.json``, whatever the case, also with a further ``.txt``."""
    return MANIFEST.fullmatch(name) is not None


def loose_stem(name: str) -> str | None:
    """``HeLa`` for ``HeLa.batch.yaml``, the manifest of loose files; None for any other name."""
    match = LOOSE.fullmatch(name)
    return match["stem"] if match else None


def lookalike(name: str) -> bool:
    """Did someone mean ``batch.yaml``? A slip of the finger, a second ending, a copy's name.

    Careful on purpose: metadata.yaml, experiment.json, patch.json and manifest.json are data of the
    user, and a batch must not fail because of them.
    """
    if is_manifest_name(name) or loose_stem(name):
        return False
    text = unicodedata.normalize("NFKC", name).strip()
    stem, dot, rest = text.partition(".")
    endings = dot + rest.replace(" ", "")
    if not ENDINGS.fullmatch(endings) or not re.search(r"ya?ml|json", endings, re.IGNORECASE):
        return False
    stem = _without_copies(stem.strip().casefold())
    if "json" in endings.casefold() and stem == "manifest":
        return False
    return stem in ("manifest", "dropwatch") or _nearly_batch(stem)


def _without_copies(stem: str) -> str:
    while (shorter := COPIES.sub("", stem).strip()) != stem:
        stem = shorter
    return stem


def _nearly_batch(stem: str) -> bool:
    """The word itself, its plural, letters swapped or one doubled: no English word is among these."""
    swapped = stem[:1] == "b" and sorted(stem) == sorted("batch")
    return swapped or re.sub(r"(.)\1", r"\1", stem) in ("batch", "batches")
