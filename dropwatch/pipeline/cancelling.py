"""The mark that cancels one claim: a file in the envelope that names the stamp of that claim.

Who cancels writes it, the line reads it. A batch that comes back gets another stamp, and is not cancelled.
"""

from __future__ import annotations

from pathlib import Path

from dropwatch.durable_memory import inside
from dropwatch.model import Envelope
from dropwatch.spool.folders import MEMORY

_CANCEL = "cancel"


def mark(envelope: Path, claim: str) -> None:
    """Cancel the claim *claim* of *envelope*, durably. Raises OSError."""
    with inside(envelope, MEMORY, make=True) as folder:
        folder.put(_CANCEL, claim.encode("ascii"))


def is_marked(envelope: Envelope) -> bool:
    """Whether the present claim of *envelope* is cancelled."""
    try:
        with inside(envelope.path, MEMORY) as folder:
            said = folder.read(_CANCEL, 100)
    except OSError:
        return False
    return said.strip() == envelope.claim.encode()
