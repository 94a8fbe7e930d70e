"""Every page for who cannot see it, or has no mouse: axe finds nothing serious, the keyboard reaches everything."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect
from playwright.sync_api import Page as Tab

from tests.browser.conftest import Site
from tests.world import wait_until

THEMES = ("light", "dark")
BAD = {"serious", "critical"}
LONG = "a_name_without_any_space_" * 8
PHONE, WIDE = {"width": 360, "height": 740}, {"width": 1280, "height": 720}


@pytest.fixture(scope="module")
def tabs(site: Site, browser: Browser) -> Iterator[dict[str, Tab]]:
    """An admin's tab in a light and in a dark system; the facility has a batch of each kind."""
    site.sandbox.set_faults(smtp={"code": 550, "count": 1})
    site.world.drop("alice", LONG, {f"{LONG}.fake": b"a"})
    wait_until(lambda: site.world.letters("dead"))
    site.world.drop("bob", "broken", {"b.xyz": b"b"}, bad=("b.xyz",))
    wait_until(lambda: site.world.envelopes("failed"))
    wait_until(site.world.is_quiet)  # what still changes is drawn anew, and takes the keyboard's place along
    (site.world.state / "hold").mkdir(exist_ok=True)
    (site.world.state / "hold" / "user-carol").touch()
    site.world.drop("carol", "waits", {"c.fake": b"c"})
    opened = Opened(site, browser)
    yield opened
    for tab in opened.values():
        tab.context.close()


class Opened(dict[str, Tab]):
    """An admin's tab by the theme of its system, opened when it is first asked for."""

    def __init__(self, site: Site, browser: Browser) -> None:
        self._site, self._browser = site, browser

    def __missing__(self, theme: str) -> Tab:
        context = self._browser.new_context(color_scheme=theme, reduced_motion="reduce", locale="en-GB")  # type: ignore[arg-type]
        tab = self[theme] = context.new_page()
        tab.goto(self._site.page.link_to_come_in("alice", admin=True))
        tab.wait_for_url(f"{self._site.page.address}/")
        return tab


def pages(site: Site) -> dict[str, str]:
    """What each page is called in its title, and where it is."""
    claim = site.world.envelopes("failed")[0].name[:20]
    letter = site.world.letters("dead")[0]["id"]
    return {
        "My batches": "/",
        "broken": f"/batch/{claim}",
        "New batch": "/new",
        "Facility": "/facility",
        "Account": "/account",
        "a letter": f"/facility/letters/{quote(letter, safe='')}",
    }


def faults(tab: Tab) -> list[str]:
    """What axe calls serious or critical, with the place; and what does not fit on a small phone."""
    # Of Quasar's dialogs axe takes what is behind for what is in front. Their buttons are judged on the pages.
    asked = {"rules": {"color-contrast": {"enabled": False}}} if tab.get_by_role("dialog").count() else {}
    found = Axe().run(tab, options=asked).response["violations"]
    told = [
        f"{tab.url} {one['id']}: {node['html'][:200]}"
        for one in found
        if one["impact"] in BAD
        for node in one["nodes"]
    ]
    tab.set_viewport_size(PHONE)  # type: ignore[arg-type]
    beyond = tab.evaluate("document.documentElement.scrollWidth - innerWidth")
    tab.set_viewport_size(WIDE)  # type: ignore[arg-type]
    return [*told, f"{tab.url}: {beyond} pixels wider than a phone"] if beyond > 0 else told


def no_hits(site: Site, tab: Tab) -> Tab:
    """A list with nothing in it."""
    tab.goto(f"{site.page.address}/?q=nothing-is-called-so")
    expect(tab.get_by_text("No batch is like that.")).to_be_visible()
    return tab


def question(site: Site, tab: Tab) -> Tab:
    """A dialog."""
    tab.goto(f"{site.page.address}/facility")
    tab.get_by_role("button", name="Hold alice").click()
    expect(tab.get_by_role("dialog").get_by_role("button", name="Leave it as it is")).to_be_focused()
    return tab


def refusal(site: Site, tab: Tab) -> Tab:
    """A form in which something is wrong."""
    tab.goto(f"{site.page.address}/new")
    tab.get_by_label("Name of the batch").fill("a\u202eb")
    tab.get_by_role("button", name="Submit").click()
    expect(tab.get_by_text("Not submitted yet.")).to_be_visible()
    return tab


@pytest.mark.parametrize("theme", ["light", pytest.param("dark", marks=pytest.mark.long)])
def test_axe_finds_nothing_serious_on_any_page(site: Site, tabs: dict[str, Tab], theme: str) -> None:
    tab, found, titles = tabs[theme], list[str](), list[str]()
    for path in pages(site).values():
        tab.goto(f"{site.page.address}{path}")
        expect(tab.get_by_role("heading", level=1)).to_be_visible()
        found += faults(tab)
        titles.append(tab.title())
    stranger = tab.context.browser.new_context(color_scheme=theme).new_page()  # type: ignore[union-attr, arg-type]
    for path in ("/sign-in", "/nothing-here"):
        stranger.goto(f"{site.page.address}{path}")
        found += faults(stranger)
        titles.append(stranger.title())
    stranger.context.close()

    assert not found, "\n".join(found)
    assert len(set(titles)) == len(titles), titles
    assert all("Test" in title for title in titles)


@pytest.mark.long
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("state", [no_hits, question, refusal])
def test_axe_finds_nothing_serious_where_something_is_empty_asked_or_wrong(
    site: Site, tabs: dict[str, Tab], theme: str, state: Callable[[Site, Tab], Tab]
) -> None:
    assert faults(state(site, tabs[theme])) == []


@pytest.mark.long
@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_serious_on_the_page_of_the_api(
    site: Site, tabs: dict[str, Tab], theme: str
) -> None:
    tab = tabs[theme]
    tab.goto(f"{site.page.address}/docs")
    expect(tab.locator(".opblock").first).to_be_visible()
    tab.wait_for_load_state("networkidle")

    assert faults(tab) == []


def test_the_keyboard_reaches_everything_and_shows_where_it_is(site: Site, tabs: dict[str, Tab]) -> None:
    tab = tabs["light"]
    tab.goto(f"{site.page.address}/facility")
    expect(tab.get_by_role("button", name="Hold alice")).to_be_visible()

    reached, rings = walk(tab)

    assert {"Skip to the content", "Facility", "Hold everything", "Hold alice", "Release carol"} <= set(
        reached
    )
    assert reached[0] == "Skip to the content"
    assert all(rings), [name for name, ring in zip(reached, rings, strict=True) if not ring]
    tab.keyboard.press("Escape")
    tab.get_by_role("button", name="Hold alice").focus()
    tab.keyboard.press("Enter")
    dialog = tab.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("button", name="Leave it as it is")).to_be_focused()
    tab.keyboard.press("Escape")
    expect(dialog).to_be_hidden()


@pytest.mark.long
def test_the_keyboard_stays_where_a_line_is_drawn_again(site: Site, tabs: dict[str, Tab]) -> None:
    tab = tabs["light"]
    tab.goto(f"{site.page.address}/facility")
    tab.get_by_role("button", name="Hold bob").focus()
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("dialog").get_by_role("button", name="Leave it as it is")).to_be_focused()
    tab.keyboard.press("Tab")

    tab.keyboard.press("Enter")

    expect(tab.get_by_role("button", name="Release bob")).to_be_focused()
    (site.world.state / "hold" / "user-bob").unlink()
    expect(tab.get_by_role("button", name="Hold bob")).to_be_focused()


@pytest.mark.long
def test_who_has_no_scripts_is_told_that_they_are_needed(site: Site, tabs: dict[str, Tab]) -> None:
    cookies = tabs["light"].context.cookies()
    context = tabs["light"].context.browser.new_context(java_script_enabled=False)  # type: ignore[union-attr]
    context.add_cookies(cookies)  # type: ignore[arg-type]
    tab = context.new_page()
    tab.goto(site.page.address)

    said = tab.locator(".dw-no-script")  # a text in <noscript> is found by no other means
    expect(said).to_be_visible()
    assert "This page needs JavaScript" in (said.text_content() or "")
    expect(tab.locator("#esm-fallback")).to_be_hidden()  # NiceGUI's guess is another one
    context.close()


def walk(tab: Tab) -> tuple[list[str], list[bool]]:
    """Press Tab until it begins anew: what each stop is called, and whether the ring around it is seen."""
    tab.evaluate("document.activeElement.blur()")
    names, rings = list[str](), list[bool]()
    for _ in range(80):
        tab.keyboard.press("Tab")
        name, ring, first = tab.evaluate(_STOP)
        if first and names:
            break
        names.append(name)
        rings.append(ring)
    return names, rings


_STOP = """() => {
  const at = document.activeElement, style = getComputedStyle(at);
  if (at === document.body) return ["", true, true];
  const outline = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  const seen = at.matches(":focus-visible") && (outline || style.boxShadow.includes(" 0px 0px 0px 4px"));
  const name = at.getAttribute("aria-label") || at.innerText.split("\\n").pop().trim();
  const again = at.dataset.walked === "1";
  at.dataset.walked = "1";
  return [name, seen, again];
}"""


def test_nothing_moves_for_who_asks_for_no_motion(site: Site, tabs: dict[str, Tab]) -> None:
    tab = tabs["light"]
    bar = """() => {
      const bar = document.createElement("div");
      bar.className = "dw-progress dw-unknown";
      bar.innerHTML = '<div class="dw-track"><div class="dw-fill"></div></div>';
      document.body.append(bar);
      const style = getComputedStyle(bar.querySelector(".dw-fill"));
      return [parseFloat(style.animationDuration), parseFloat(style.transitionDuration)];
    }"""
    still = tab.evaluate(bar)
    tab.emulate_media(reduced_motion="no-preference")
    moving = tab.evaluate(bar)

    assert max(still) < 0.001
    assert min(moving) > 0.1
