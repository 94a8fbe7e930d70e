"""Takes the pictures of the page in docs/images, light and dark: ``python docs/make_screenshots.py``.

It plays the demo's facility, leaves something to see in every corner of it, and looks at each page in Chromium.
"""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright
from rich.console import Console

from dropwatch.sandbox.demo_drops import BRAIN, DROPS, HELA, PLATE, make_samples
from dropwatch.sandbox.demo_page import PageProgram
from dropwatch.sandbox.demo_scene import Scene, set_faults
from dropwatch.sandbox.demo_screen import PlainScreen
from dropwatch.sandbox.demo_stage import Stage, raised

PICTURES = Path(__file__).with_name("images")
FOLDER = Path("/tmp/dropwatch-demo")  #: its name may be shown to everybody
SIZE = {"width": 1280, "height": 860}
MOST = 120_000  #: bytes of one picture
PATIENCE = 90.0  #: seconds for what takes a few


def main() -> int:
    FOLDER.mkdir()  # whoever has one may want to keep it
    stage = Stage(Scene(FOLDER), PlainScreen(Console(file=io.StringIO())))
    if stage.page is None:
        print("The page is not installed here: pip install 'dropwatch[web]'", file=sys.stderr)
        return 1
    PICTURES.mkdir(exist_ok=True)
    with raised(stage), chromium() as browser:
        _play(stage)
        for theme in ("light", "dark"):
            _take(stage, stage.page, browser, theme)
    shutil.rmtree(FOLDER)
    return 0


@contextmanager
def chromium() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found,
            args=["--no-sandbox", "--disable-gpu"],
            env={**os.environ, "LANGUAGE": "en_GB"},
        )
        try:
            yield browser
        finally:
            browser.close()


def _play(stage: Stage) -> None:
    """The demo's day; then a letter that is refused, somebody on hold, and an import under way."""
    scene = stage.scene
    make_samples(scene, DROPS)
    stage.build()
    set_faults(scene)
    stage.daemon.open()
    assert stage.page is not None
    stage.page.begin()
    for drop in DROPS:
        drop.hand_in(drop, scene, stage.let_pass)
    stage.wait(lambda: stage.all_retired(len(DROPS)), PATIENCE, "All batches to be through")
    stage.wait(lambda: stage.letters_waiting() == 0, PATIENCE, "The letters to arrive")
    set_faults(scene, smtp={"code": 550, "count": 1})
    shutil.copytree(PLATE.source(scene), scene.inbox("bob") / "plate 43")
    stage.wait(lambda: stage.status().outbox["dead"] > 0, PATIENCE, "A letter to be refused")
    hold = scene.state / "hold" / "user-bob"
    hold.parent.mkdir(exist_ok=True)
    hold.touch()
    shutil.copytree(BRAIN.source(scene), scene.inbox("bob") / "zebrafish heart, later")
    set_faults(scene, omero={"slow_upload": "20s"})
    shutil.copytree(HELA.source(scene), scene.inbox("alice") / "HeLa day 4")
    stage.wait(
        lambda: any(row.progress and row.progress.done for row in stage.status().rows), PATIENCE, "An upload"
    )


def _take(stage: Stage, page: PageProgram, browser: Browser, theme: str) -> None:
    with _tab(browser, theme) as tab:
        tab.goto(f"{page.address()}/sign-in")
        _shot(tab, "sign-in", theme)
        tab.goto(page.link("alice"))
        tab.get_by_text("HeLa day 4").first.wait_for()
        _shot(tab, "batches", theme)
        tab.get_by_text("HeLa day 3").first.click()
        tab.wait_for_url("**/batch/**")
        _shot(tab, "batch", theme)
        _new_batch(tab, page.address())
        _shot(tab, "new-batch", theme)
        _token(tab, page.address())
        _shot(tab, "account", theme)
        tab.goto(f"{page.address()}/docs")
        _shot(tab, "api", theme)
    with _tab(browser, theme) as tab:
        tab.goto(page.link("root", admin=True))
        tab.wait_for_url(f"{page.address()}/")
        tab.goto(f"{page.address()}/facility")
        tab.get_by_text("could not be delivered.").first.wait_for()
        _shot(tab, "facility", theme)


def _new_batch(tab: Page, address: str) -> None:
    tab.goto(f"{address}/new")
    tab.get_by_role("heading", name="New batch").wait_for()


def _token(tab: Page, address: str) -> None:
    tab.goto(f"{address}/account")
    tab.get_by_label("Name, such as").fill("ZEN at confocal 1")
    tab.get_by_role("button", name="Make a token").click()
    tab.get_by_text("it is shown this once").wait_for()
    # It opens a facility that is gone by then; all the same, no picture of ours shows one.
    tab.locator(".dw-secret").evaluate("shown => shown.textContent = 'dw_' + '\u2022'.repeat(43)")


@contextmanager
def _tab(browser: Browser, theme: str) -> Iterator[Page]:
    """A fresh browser whose system is light or dark, and that draws no motion."""
    context = browser.new_context(
        viewport=SIZE, color_scheme=theme, reduced_motion="reduce", locale="en-GB", timezone_id="Europe/Paris"
    )  # type: ignore[arg-type]
    try:
        yield context.new_page()
    finally:
        context.close()


def _shot(tab: Page, name: str, theme: str) -> None:
    """The page as it is now, in few colours: small enough for a repository."""
    tab.wait_for_load_state("networkidle")
    tab.wait_for_timeout(1500)  # pictures of images are fetched one by one
    picture = Image.open(io.BytesIO(tab.screenshot())).convert("RGB")
    path = PICTURES / f"{name}-{theme}.png"
    picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)
    assert path.stat().st_size < MOST, f"{path} has {path.stat().st_size} bytes"


if __name__ == "__main__":
    sys.exit(main())
