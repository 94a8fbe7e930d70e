"""New batch: choose files, say where they go, hand them over and log out."""

from __future__ import annotations

from nicegui import ui

from dropwatch.web.allowed import needs_omero, places_for
from dropwatch.web.entrance import asking_at
from dropwatch.web.frame import frame
from dropwatch.web.house import House
from dropwatch.web.pages.new_form import Form
from dropwatch.web.pages.new_submit import ask_facility
from dropwatch.web.pieces import Notice, Tone, empty
from dropwatch.web.upload_panel import LOOKS
from dropwatch.web.visitor import Visitor

_LOOKS = '<link rel="stylesheet" href="/static/new.css">'


def register(house: House) -> None:
    """Hang up /new."""
    asking = asking_at(house.doorkeeper)

    @ui.page("/new")
    async def new(visitor: Visitor = asking) -> None:
        ui.add_head_html(_LOOKS + LOOKS)
        with frame(house, visitor, "New batch", "/new"):
            if not visitor.folders:
                _no_drop_folder(house)
                return
            with ui.element("div").classes("dw-new") as place:
                if needs_omero(
                    house.config, visitor
                ):  # which may hang, and must not keep the whole page away
                    Notice(Tone.WAIT, "Asking OMERO which disks you may use …")
                    form = None
                else:
                    form = Form(house, visitor, await places_for(house.config, house.images, visitor), place)
        await ui.context.client.connected()
        form = form or await _form_later(house, visitor, place)
        if form is not None:
            await form.begin()


async def _form_later(house: House, visitor: Visitor, place: ui.element) -> Form | None:
    """The form, once OMERO answered or will not; None when the visitor has left meanwhile."""
    places = await places_for(house.config, house.images, visitor)
    if place.is_deleted:
        return None
    place.clear()
    with place:
        return Form(house, visitor, places, place)


def _no_drop_folder(house: House) -> None:
    why = "Batches are handed over through a drop folder of your own, and there is none in your name."
    with empty("inbox", "You have no drop folder yet", f"{why} {ask_facility(house.config)}"):
        pass
