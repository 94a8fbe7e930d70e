"""`dropwatch web` with one page more, /trial: the panel that uploads, a button that submits, and what came of it."""

from __future__ import annotations

from nicegui import ui

from dropwatch.errors import DropwatchError
from dropwatch.spool.submit import Wishes
from dropwatch.web.entrance import asking_at
from dropwatch.web.house import House
from dropwatch.web.upload_panel import LOOKS, UploadPanel
from dropwatch.web.visitor import Visitor
from tests.browser.trial import serve


def hang_up(house: House) -> None:
    asking = asking_at(house.doorkeeper)

    @ui.page("/trial")
    def trial(visitor: Visitor = asking) -> None:
        ui.add_head_html(f'<link rel="stylesheet" href="/static/dropwatch.css">{LOOKS}')

        def changed() -> None:
            told.text = f"ready {panel.ready}, {len(panel.files())} here"

        async def submit() -> None:
            try:
                dropped = await panel.submit(Wishes(name=name.value or None))
            except DropwatchError as err:
                outcome.text = str(err)
            else:
                outcome.text = f"dropped as {dropped.name}"

        panel = UploadPanel(house, visitor, on_change=changed)
        name = ui.input("Name")
        ui.button("Submit", on_click=submit)
        told, outcome = ui.label().mark("told"), ui.label()


if __name__ == "__main__":
    serve(hang_up)
