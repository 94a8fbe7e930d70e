"""New batch: choose files, say where they go, hand them over and log out."""

from __future__ import annotations

from nicegui import ui

from dropwatch.web.allowed import places_for
from dropwatch.web.entrance import asking_at
from dropwatch.web.frame import frame
from dropwatch.web.house import House
from dropwatch.web.pages.new_form import Form
from dropwatch.web.pages.new_submit import ask_facility
from dropwatch.web.pieces import empty
from dropwatch.web.visitor import Visitor

_LOOKS = '<link rel="stylesheet" href="/static/new.css">'

_PATIENCE = 20.0  #: seconds that making the page may take; an OMERO that hangs takes images.SECONDS of them


def register(house: House) -> None:
    """Hang up /new."""
    asking = asking_at(house.doorkeeper)

    @ui.page("/new", response_timeout=_PATIENCE)
    async def new(visitor: Visitor = asking) -> None:
        places = await places_for(house.config, house.images, visitor)
        ui.add_head_html(_LOOKS)
        with frame(house, visitor, "New batch", "/new"):
            if not visitor.folders:
                _no_drop_folder(house)
                return
            with ui.element("div").classes("dw-new") as place:
                form = Form(house, visitor, places, place)
        await ui.context.client.connected()
        await form.begin()


def _no_drop_folder(house: House) -> None:
    why = "Batches are handed over through a drop folder of your own, and there is none in your name."
    with empty("inbox", "You have no drop folder yet", f"{why} {ask_facility(house.config)}"):
        pass
