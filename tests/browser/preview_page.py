"""`dropwatch web` with one page more, /trial: the panel that says what is in files, for the folder in TRIAL."""

from __future__ import annotations

import os
from pathlib import Path

from nicegui import ui

from dropwatch.web.entrance import asking_at
from dropwatch.web.frame import frame
from dropwatch.web.house import House
from dropwatch.web.pages.preview_panel import PreviewPanel
from dropwatch.web.visitor import Visitor
from tests.browser.trial import serve


def hang_up(house: House) -> None:
    asking = asking_at(house.doorkeeper)
    folder = Path(os.environ["TRIAL"])

    @ui.page("/trial")
    def trial(visitor: Visitor = asking) -> None:
        with frame(house, visitor, "Trial", "/trial"):
            panel = PreviewPanel(house.previews)
            paths = ui.input("Paths", on_change=lambda said: panel.of("disk", folder, said.value.split()))
            del paths


if __name__ == "__main__":
    serve(hang_up)
