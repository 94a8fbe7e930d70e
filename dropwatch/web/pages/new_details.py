"""What is said about the images: description, tags, key-value pairs; and who else hears of the outcome."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dropwatch.config import Config
from dropwatch.web.pages.new_draft import Draft
from dropwatch.web.pages.new_fields import Chips, Pairs, complain, paragraph


class Details:
    """The fields; *changed* is told whenever one of them changed. All may be left empty."""

    def __init__(self, config: Config, changed: Callable[[], None]) -> None:
        self._description = paragraph("Description", changed)
        self._tags = Chips("Tags", changed, hint="Press Enter after each", apart=r"[;\n\t]")
        self._pairs = Pairs(changed)
        self._notify: Chips | None = None
        if config.mail is not None and config.mail.send_to:
            allowed = ", ".join(config.mail.send_to)
            self._notify = Chips(
                "Who else gets the mail", changed, hint=f"Addresses like {allowed}", apart=r"[,;\s]"
            )

    def read(self, draft: Draft) -> Draft:
        """*draft* with what these fields say."""
        said = {
            "description": self._description.value or "",
            "tags": self._tags.texts,
            "key_values": self._pairs.pairs,
            "notify": self._notify.texts if self._notify else (),
        }
        return draft.model_copy(update=said)

    def settle(self) -> None:
        """Take what was typed last."""
        for chips in (self._tags, self._notify):
            if chips is not None:
                chips.settle()

    def restore(self, draft: Draft) -> None:
        """Show what *draft* says."""
        self._description.value = draft.description
        self._tags.put(draft.tags)
        self._pairs.put(draft.key_values)
        if self._notify is not None:
            self._notify.put(draft.notify)

    def complain(self, found: Mapping[str, str]) -> None:
        """Say what is wrong, each problem in its place."""
        complain(self._description, found.get("description"))
        complain(self._tags, found.get("tags"))
        self._pairs.complain(found.get("key_values"))
        if self._notify is not None:
            complain(self._notify, found.get("notify"))
