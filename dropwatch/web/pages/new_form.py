"""The form of a new batch: its parts, what is wrong with them, what of them survives a reload, and the way out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from contextlib import suppress

from nicegui import ui

from dropwatch import report
from dropwatch.errors import DropwatchError
from dropwatch.places import Source, sources
from dropwatch.report.words import count, listed
from dropwatch.spool.submit import Wishes
from dropwatch.web.house import House
from dropwatch.web.listed import drop_key
from dropwatch.web.pages.new_details import Details
from dropwatch.web.pages.new_draft import Draft, Kept, from_text, problems, to_text
from dropwatch.web.pages.new_fields import choice, complain, line
from dropwatch.web.pages.new_files import Files
from dropwatch.web.pages.new_submit import Refused, attempt, confirmation, who_hears
from dropwatch.web.pages.new_target import WhereTo
from dropwatch.web.pieces import Notice, Say, Tone, button, hide, part
from dropwatch.web.visitor import DropFolder, Visitor

_KEEP = "dropwatch-new-batch"  #: in the browser's own store for one tab: gone when that is closed
_PACE = 0.7  #: seconds between two looks at whether there is something to keep
_TO_PROBLEM = (  # once what is wrong stands there
    "setTimeout(() => document.querySelector('.dw-new .q-field--error :is(input, textarea)')?.focus(), 100)"
)
_FIELDS = {
    "name": "its name",
    "target": "where it goes",
    "group": "the group",
    "description": "the description",
}
_FIELDS |= {"tags": "the tags", "key_values": "the key-value pairs", "notify": "who else gets the mail"}


class Form:
    """One form in one tab of *visitor*, made in the element *place*. begin() once the browser is there.

    disks -- the places that the visitor may use
    """

    def __init__(self, house: House, visitor: Visitor, disks: Sequence[Source], place: ui.element) -> None:
        self._house, self._visitor, self._place = house, visitor, place
        self._ready = self._handing_over = False
        self._kept = ""
        self._hidden = any(source.groups for source in sources(house.config) if source not in disks)
        self._build(disks)

    async def begin(self) -> None:
        """Bring back what was there before a reload, then look at the places and ask OMERO."""
        text = None
        with suppress(TimeoutError):  # a browser that does not answer has kept nothing
            text = await ui.run_javascript(f'sessionStorage.getItem("{_KEEP}")', timeout=5)
        kept = from_text(text, self._visitor.name)
        if kept is not None:
            self._restore(kept)
        self._ready = True
        self._changed()
        ui.timer(_PACE, self._keep)
        await asyncio.gather(self._ask_omero(), self._files.show())

    # -- what it is made of ----------------------------------------------------------------------------------

    def _build(self, disks: Sequence[Source]) -> None:
        config = self._house.config
        with part("Files", "dw-card"):
            self._folder = self._choose_folder()
            self._files = Files(self._house, self._visitor, disks, self._into, self._changed, self._learned)
        with part("Name and target", "dw-card"):
            self._name = line("Name of the batch", self._changed)
            self._where = WhereTo(self._changed, self._ask_omero)
            self._warning = Say("p", "", "dw-problem").props("role=status")
            self._omero = Notice(Tone.WAIT)
            hide(self._omero)
        with part("About the images", "dw-card"):
            self._details = Details(config, self._changed)
        with ui.element("div").classes("dw-submit"):
            with ui.element("div").classes("dw-grow"):
                self._summary = Say("p")  # not read aloud: it changes with each letter of the name
                self._trouble = Say("p", "", "dw-problem").props("role=alert")
            self._submit = button("Submit", self._on_submit, kind="main")

    def _choose_folder(self) -> ui.select | None:
        folders = self._visitor.folders
        if len(folders) < 2:
            return None
        options = {str(number): f"{one.user} in {one.spool}" for number, one in enumerate(folders)}
        return choice("Drop folder", options, "0", self._other_folder)

    # -- what it says ----------------------------------------------------------------------------------------

    @property
    def _draft(self) -> Draft:
        draft = Draft(name=self._name.value or "")
        return self._details.read(self._where.read(draft))

    @property
    def _called(self) -> str:
        return (self._name.value or "").strip() or self._files.called

    @property
    def _into(self) -> DropFolder:
        chosen = str(self._folder.value) if self._folder else "0"
        return self._visitor.folders[int(chosen)]

    def _other_folder(self) -> None:
        self._files.upload_to(self._into)
        self._changed()

    def _changed(self) -> None:
        if not self._ready:
            return
        called = self._files.called
        self._name.props["placeholder"] = report.clean(called) or "As the folder or file"
        self._where.named(self._called)
        self._complain()
        self._files.say("")
        self._trouble.say("")
        self._learned()

    def _learned(self) -> None:
        """More is known of the same files: what was said about problems stays."""
        chosen = self._files.told
        self._summary.say(
            f"{chosen}, to {self._where.told(self._called)}" if chosen else "Nothing chosen yet"
        )
        self._warning.say(self._misplaced())

    def _misplaced(self) -> str:
        """What Bio-Formats found that has no place where it is to go."""
        preview, holds_plates = self._files.preview, self._where.holds_plates
        if preview is None or holds_plates is None:
            return ""
        others = len(preview.filesets) - preview.plates
        if preview.plates and not holds_plates:
            return (
                f"{count(preview.plates, 'plate')} among the files: plates go to a screen, not to a dataset."
            )
        if others and holds_plates:
            return f"{count(others, 'image file')} among the files: only plates go to a screen."
        return ""

    def _complain(self) -> dict[str, str]:
        found = problems(self._draft, self._house.config.may_send_to)
        complain(self._name, found.get("name"))
        self._where.complain(found.get("target"), found.get("group"))
        self._details.complain(found)
        return found

    async def _ask_omero(self) -> None:
        try:
            tree = await self._house.images.containers(self._visitor.name, self._where.group)
        except DropwatchError as err:
            self._where.away()
            without = " Places for groups are shown when it answers: then reload." if self._hidden else ""
            self._omero.set(
                report.clean(err.message),
                f"You can submit all the same, and name where the images go.{without}",
            )
            return
        self._omero.set("")
        if tree.groups or tree.projects or tree.datasets or tree.screens:
            self._where.has(tree)
        else:
            self._where.away()

    # -- over a reload ---------------------------------------------------------------------------------------

    def _keep(self) -> None:
        text = to_text(Kept(who=self._visitor.name, draft=self._draft, picks=self._files.picks))
        if text != self._kept and not self._handing_over:
            self._kept = text
            ui.run_javascript(f'sessionStorage.setItem("{_KEEP}", {json.dumps(text)})')

    def _restore(self, kept: Kept) -> None:
        self._name.value = kept.draft.name
        self._where.restore(kept.draft)
        self._details.restore(kept.draft)
        self._files.restore(kept.picks)

    # -- the way out -----------------------------------------------------------------------------------------

    async def _on_submit(self) -> None:
        if self._handing_over:
            return
        self._details.settle()
        self._where.settle()
        if not self._may_go():
            return
        self._handing_over = True  # a second click finds it set: one batch
        self._submit.props("loading")
        done = await attempt(self._house.config, self._into, self._files.drop(self._into, self._wishes()))
        if isinstance(done, Refused):
            self._handing_over = False
            self._submit.props(remove="loading")
            self._trouble.say(done.why)
            return
        ui.run_javascript(f'sessionStorage.removeItem("{_KEEP}")')
        folder = self._into
        self._files.leave()
        self._place.clear()
        with self._place:
            outcome = confirmation(
                self._house.config, done.name, f"/batch/{drop_key(folder.spool, folder.user, done.name)}"
            )
        outcome.say(await who_hears(self._house, self._visitor, folder))

    def _wishes(self) -> Wishes:
        draft = self._draft
        said = {
            key: value for key, value in draft.keys().items() if key in ("target", "group", "description")
        }
        texts = {key: str(value) for key, value in said.items()}
        pairs = {key.strip(): value.strip() for key, value in draft.key_values if key.strip()}
        return Wishes(
            name=self._called or None, tags=draft.tags, key_values=pairs, notify=draft.notify, **texts
        )

    def _may_go(self) -> bool:
        found = self._complain()
        wrong = [words for field, words in _FIELDS.items() if field in found]
        self._files.say(self._files.lacks)
        if self._files.lacks:
            wrong.insert(0, "the files")
        if self._where.lacks:
            wrong.append("where it goes")
        if wrong:
            self._trouble.say(f"Not submitted yet. Please look at {listed(wrong)}.")
            ui.run_javascript(_TO_PROBLEM)
        return not wrong
