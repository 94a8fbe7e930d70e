"""Letters on disk, sent by SMTP. The only room that knows yagmail; nobody else writes the outbox."""

from __future__ import annotations

from dropwatch.outbox.delivery import Delivered, Outbox
from dropwatch.outbox.letter import Letter, letter_id
from dropwatch.outbox.postman import MailServerSettings
from dropwatch.outbox.shelves import Shelf

__all__ = ["Delivered", "Letter", "MailServerSettings", "Outbox", "Shelf", "letter_id"]
