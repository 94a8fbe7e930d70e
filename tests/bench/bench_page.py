"""My batches with 10,000 retired batches, in Chromium: how soon it is there, how soon it is filtered, what it takes.

Each figure stands beside the limit that we set ourselves: below 1.0 is well. "cold" is the first visit after the page
was started, when no record has been read yet.
Run: make bench
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import Page as Tab
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[2]))
from tests.many import retire_many
from tests.page import Page
from tests.quiet import Quiet

BATCHES = 10_000
PAINT = 2.0  #: seconds to the first line of the list
FILTER = 0.7  #: seconds from the last key to the filtered list, 0.2 of them waiting for another key
MEMORY = 100 * 2**20  #: bytes that the batches may take, beside what an empty page takes
_LINES = "li.dw-batch"


def painted(tab: Tab, address: str) -> float:
    """Seconds until the first batch is seen."""
    begun = time.monotonic()
    tab.goto(address)
    tab.locator(_LINES).first.wait_for()
    return time.monotonic() - begun


def filtered(tab: Tab, text: str, number: int) -> float:
    """Seconds until the list shows nothing but the *number* batches that *text* finds."""
    tab.get_by_label("Search name, target or file").fill(text)
    begun = time.monotonic()
    tab.wait_for_function(f"document.querySelectorAll('{_LINES}').length === {number}", timeout=20_000)
    return time.monotonic() - begun


def memory(page: Page) -> int:
    """Bytes that the process of the page has in memory."""
    pages = int(Path(f"/proc/{page.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measure(root: Path) -> dict[str, float]:
    quiet = Quiet(root)
    page = Page(quiet.config, root / "web.log")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_context().new_page()
        page.start("alice")
        try:
            tab.goto(page.link)
            tab.get_by_role("heading", name="No batches yet").wait_for()
            empty = memory(page)
            retire_many(quiet.spool, "alice", BATCHES)
            page.kill()
            page.start()
            cold = painted(tab, page.address)
            tab.get_by_role("button", name=f"All {BATCHES:,}").wait_for(timeout=120_000)
            full = memory(page)
            warm = painted(tab, page.address)
            found = filtered(tab, "beads 999", 5)
            return {"cold": cold, "warm": warm, "filter": found, "memory": full - empty}
        finally:
            browser.close()
            page.kill()


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        seen = measure(Path(folder))
    for name, limit in (("cold", PAINT), ("warm", PAINT), ("filter", FILTER)):
        print(f"{name:8} {seen[name]:6.2f} s   {seen[name] / limit:5.2f} of the limit")
    print(f"{'memory':8} {seen['memory'] / 2**20:6.0f} MiB {seen['memory'] / MEMORY:5.2f} of the limit")
    print(json.dumps(seen))
    return 0


if __name__ == "__main__":
    sys.exit(main())
