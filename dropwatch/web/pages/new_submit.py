"""Handing a batch over, and what is said then: that one may log out, and who hears of the outcome.

Whatever goes wrong is told in words; only the person's own faults are told with what to do about them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nicegui import ui

from dropwatch import report, storage
from dropwatch.config import Config
from dropwatch.errors import DropwatchError, OperatorError, Unavailable
from dropwatch.spool.submit import submit_from
from dropwatch.web.pages.new_draft import Draft, Picks
from dropwatch.web.pieces import Say, button, go, icon
from dropwatch.web.visitor import DropFolder


@dataclass(frozen=True)
class Refused:
    """Nothing was handed over; *why* is for the person to read."""

    why: str


async def submit_picks(
    config: Config, folder: DropFolder, picks: Picks, draft: Draft, name: str
) -> Path | Refused:
    """Drop a batch of what was picked from a place; returns its folder in the inbox."""
    said = draft.keys()

    def drop() -> Path:
        return submit_from(
            picks.place,
            picks.paths,
            spool=folder.spool,
            user=folder.user,
            name=name or None,
            target=_text(said, "target"),
            group=_text(said, "group"),
            description=_text(said, "description") or "",
            tags=draft.tags,
            key_values=dict(said.get("key_values", {})),  # type: ignore[call-overload]
            notify=draft.notify,
        )

    return await attempt(config, folder, drop)


async def attempt(config: Config, folder: DropFolder, drop: Callable[[], Path]) -> Path | Refused:
    """What *drop* returns, or in words why it did not."""
    try:
        return await asyncio.to_thread(drop)
    except DropwatchError as err:
        return Refused(sorry(config, err))
    except OSError as err:
        fault = storage.sort(err, f"The drop folder of {folder.user}", "spool")
        what = f"The drop folder of {folder.user} could not be written to: {err.strerror or err}."
        return Refused(sorry(config, fault or Unavailable(what, concerns="spool")))


def sorry(config: Config, error: DropwatchError) -> str:
    """*error* for the person who meets it: what an admin has to do is not theirs to read."""
    if not isinstance(error, OperatorError | Unavailable):
        return report.clean(str(error))
    return f"{report.clean(error.message)} {ask_facility(config)}"


def ask_facility(config: Config) -> str:
    """Whom to turn to, as a sentence."""
    contact = config.site.contact
    return f"Please tell {report.clean(config.site.name)}{f' ({report.clean(contact)})' if contact else ''}."


def confirmation(config: Config, name: str, address: str | None) -> None:
    """What takes the place of the form. *address*: whom the outcome is mailed to; None: nobody knows one."""
    with (
        ui.element("section")
        .classes("dw-card dw-handed-over")
        .props("tabindex=-1 aria-labelledby=handed-over") as card
    ):
        icon("task_alt").classes("dw-handed-sign")
        Say("h2", "You can log out now").props("id=handed-over")
        Say("p", f"{name} is handed over. It is imported as soon as its turn comes, also while you are away.")
        Say("p", _who_hears(config, address), "dw-quiet")
        with ui.element("div").classes("dw-actions"):
            go("Watch it in My batches", "/", kind="main")
            button("Submit another batch", ui.navigate.reload)
    ui.run_javascript(f"getHtmlElement({card.id}).focus()")


def _who_hears(config: Config, address: str | None) -> str:
    if config.mail is None:
        return "This facility sends no mails; My batches shows how it went."
    if address:
        return f"The outcome goes to {address}."
    return (
        f"OMERO has no mail address of yours, so the outcome goes to {config.site.name}, who will tell you."
    )


def _text(said: dict[str, object], key: str) -> str | None:
    value = said.get(key)
    return value if isinstance(value, str) else None
