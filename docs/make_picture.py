"""Draws docs/demo.svg, the picture of a demo run that README shows: ``python docs/make_picture.py``.

It runs the demo, in a folder whose name may be shown to everybody.
"""

from __future__ import annotations

import io
import re
import shutil
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI

from dropwatch import exits
from dropwatch.sandbox.demo import play
from dropwatch.sandbox.demo_screen import LiveScreen, live_table
from dropwatch.status import Status

FOLDER = Path("/tmp/dropwatch-demo")
PICTURE = Path(__file__).with_name("demo.svg")
WIDTH = 96  #: columns


class Photographer(LiveScreen):
    """Takes the moving table once, while the daemon is dead, and for the rest the story."""

    def __init__(self, console: Console) -> None:
        super().__init__(console)
        self._taken = False

    def watch(self, status: Status) -> None:
        if not status.running and not self._taken:
            self._taken = True
            self.console.print(live_table(status, most=20))


def main() -> int:
    console = Console(
        record=True,
        file=io.StringIO(),
        width=WIDTH,
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
    )
    code = play(FOLDER, once=True, screen=Photographer(console), command="dropwatch")
    if code == exits.GOOD:
        PICTURE.write_text(drawn(console), encoding="utf-8")
        shutil.rmtree(FOLDER)
    else:
        print(console.export_text(), file=sys.stderr)
    return code


def drawn(console: Console) -> str:
    # The reader's own monospace font will do: a picture in a README fetches nothing from elsewhere.
    frame = re.sub(r"@font-face \{\{.*?\}\}\s*|<!--.*?-->", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    frame = frame.replace("Fira Code", "ui-monospace")
    return console.export_svg(title="make demo", theme=MONOKAI, code_format=frame, unique_id="demo")


if __name__ == "__main__":
    sys.exit(main())
