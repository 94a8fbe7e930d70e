"""A part of a form: what Bio-Formats makes of the chosen files, once they stay as they are. It submits nothing.

Whoever shows it tells it what is chosen (of()), and has seen to it that the visitor may read there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nicegui import background_tasks, ui

from dropwatch.errors import DropwatchError, Interrupted
from dropwatch.model import Fileset, Preview, Refused
from dropwatch.report import count, named, size
from dropwatch.report.words import number
from dropwatch.web.pieces import Badge, Bar, Notice, Say, Tone, button, hide
from dropwatch.web.previews import Asking, Previews

_QUIET = 1.5  #: seconds that the chosen files stay the same before they are looked at
_SHOWN = 100  #: lines of each list
_PACE = 0.4  #: seconds between two looks at how far it is
_NAMED = 20  #: files that are left aside, by name


@dataclass(frozen=True)
class _Chosen:
    name: str
    folder: Path
    paths: tuple[str, ...]


class PreviewPanel:
    """seen -- told the preview whenever there is one, and None when it holds no more"""

    def __init__(
        self, previews: Previews, seen: Callable[[Preview | None], None] = lambda preview: None
    ) -> None:
        self._previews, self._seen = previews, seen
        self._chosen: _Chosen | None = None
        self._asking: Asking | None = None
        self._bar = Bar("Files that were looked at")
        self._notice = Notice(Tone.WAIT)
        self._summary = Say("p").props("role=status")  # read aloud; the list below is not
        self._result = ui.element("div").classes("dw-part dw-found")
        self._stop = button("Stop", self._give_up).classes("dw-start")
        self._ask = button("Check again", self._check, sign="fact_check").classes("dw-start")
        self._timer = ui.timer(_PACE, self._show_progress, active=False)
        self._rest()
        hide(self._ask)
        hide(self._notice)
        ui.context.client.on_delete(self._leave)

    def of(self, name: str, folder: Path, paths: Sequence[str]) -> None:
        """*paths* below *folder*, which people know as *name*, are what is chosen now; no paths, nothing is."""
        chosen = _Chosen(name, folder, tuple(paths)) if paths else None
        if chosen == self._chosen:
            return
        self._chosen = chosen
        self._cancel()
        hide(self._ask)
        self._clear()
        self._seen(None)
        if chosen is not None:
            background_tasks.create(self._check_soon(chosen))

    async def _check_soon(self, chosen: _Chosen) -> None:
        await asyncio.sleep(_QUIET)
        if chosen is self._chosen:  # else others were chosen, and a later call looks at those
            await self._check()

    async def _check(self) -> None:
        chosen = self._chosen
        if chosen is None or self._asking is not None:
            return
        self._clear()
        asking = self._asking = self._previews.ask(chosen.name, chosen.folder, chosen.paths)
        self._show_progress()
        self._work()
        try:
            preview = await asking.answer()
        except Interrupted:
            pass
        except DropwatchError as err:
            if chosen == self._chosen:
                self._notice.set(err.message, err.remedy)
                hide(self._ask, False)
        else:
            if chosen == self._chosen:
                self._show(preview)
                hide(self._ask, not (preview.unfinished or preview.refused))
                self._seen(preview)
        finally:
            if self._asking is asking and not self._ask.is_deleted:
                self._rest()

    def _leave(self) -> None:
        """The visitor is gone: others are waiting."""
        self._chosen = None
        if self._asking is not None:
            self._asking.cancel()

    def _give_up(self) -> None:
        self._cancel()
        hide(self._ask, False)

    def _cancel(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            self._rest()

    # -- while it works --------------------------------------------------------------------------------------

    def _work(self) -> None:
        hide(self._ask)
        hide(self._stop, False)
        hide(self._bar, False)
        self._timer.active = True

    def _rest(self) -> None:
        self._asking = None
        hide(self._stop)
        hide(self._bar)
        self._timer.active = False

    def _show_progress(self) -> None:
        told = self._asking.progress if self._asking is not None else None
        if told is None:
            self._bar.set(None, "Waiting for its turn")
        elif not told.total:
            self._bar.set(None, "Listing the files")
        else:
            self._bar.set(told.done / told.total, f"{number(told.done)} of {count(told.total, 'file')}")

    # -- what it says ----------------------------------------------------------------------------------------

    def _clear(self) -> None:
        self._summary.say("")
        self._result.clear()
        self._notice.set("")

    def _show(self, preview: Preview) -> None:
        self._summary.say(summary(preview))
        with self._result:
            if preview.filesets or preview.refused:
                with ui.element("ul").classes("dw-list dw-files"):
                    for no in preview.refused[:_SHOWN]:
                        _refused(no)
                    for fileset in preview.filesets[:_SHOWN]:
                        _image_file(fileset)
            more = max(0, len(preview.refused) - _SHOWN) + max(0, len(preview.filesets) - _SHOWN)
            if more:
                Say("p", f"And {count(more, 'more image file')}.", "dw-quiet dw-small")
            if preview.aside:
                Say("p", f"Left aside, not an image: {_some(preview.aside)}.", "dw-quiet dw-small")


def summary(preview: Preview) -> str:
    """What came of it, in a few sentences."""
    plates = f", {count(preview.plates, 'plate')} among them" if preview.plates else ""
    told = [f"{count(len(preview.filesets), 'image file')} with {count(preview.images, 'image')}{plates}."]
    if not preview.filesets:
        told = ["No image was found."]
    if preview.refused:
        told.append(f"{count(len(preview.refused), 'file')} would not be imported.")
    if preview.unfinished:
        told.append(f"Still being written, so a batch waits for it: {_some(preview.unfinished)}.")
    if preview.unlooked:
        told.append(f"{count(preview.unlooked, 'file')} not looked at: it would take too long here.")
    if not preview.by:
        told.append("Only the names were looked at, because Bio-Formats is not installed here.")
    return " ".join(told)


def _image_file(fileset: Fileset) -> None:
    images = "plate" if fileset.plate else count(fileset.series, "image") if fileset.series > 1 else ""
    files = count(len(fileset.files), "file") if len(fileset.files) > 1 else ""
    facts = [part for part in (files, size(fileset.bytes), fileset.format, images) if part]
    with ui.element("li").classes("dw-file"):
        with ui.element("div").classes("dw-file-what"):
            Say("div", named(fileset.name, 255), "dw-file-name")
            Say("div", " \N{MIDDLE DOT} ".join(facts), "dw-quiet dw-small")
        with ui.element("div").classes("dw-file-where"):
            Badge("Can be read", "check_circle", Tone.GOOD)


def _refused(no: Refused) -> None:
    with ui.element("li").classes("dw-file"):
        with ui.element("div").classes("dw-file-what"):
            Say("div", named(no.name, 255), "dw-file-name")
            Say("p", no.reason)
            Say("p", no.remedy, "dw-remedy")
        with ui.element("div").classes("dw-file-where"):
            Badge("Not imported", "error", Tone.BAD)


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    shown = ", ".join(named(name) for name in names[:_NAMED])
    return f"{shown} and {number(more)} more" if more > 0 else shown
