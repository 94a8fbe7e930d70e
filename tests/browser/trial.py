"""`dropwatch web` with one page more: what the page programs of this folder are made with."""

from __future__ import annotations

from collections.abc import Callable

from dropwatch.cli import main
from dropwatch.web import pages
from dropwatch.web.house import House


def serve(hang_up: Callable[[House], None]) -> None:
    """Be `dropwatch web`, by the arguments of the command line; *hang_up* adds the page."""
    hung_up = pages.register

    def register(house: House) -> None:
        hung_up(house)
        hang_up(house)

    pages.register = register
    main()
