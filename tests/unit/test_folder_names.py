"""The names that things have in the archive: nothing leads out, nothing becomes something else."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dropwatch.importers.folder_names import LONGEST, aside, folder_name, safe_name, safe_path

NAMES = st.text(st.characters(), min_size=1, max_size=80)
SHORT = st.text(st.sampled_from("aA.%2 :/\\\x00\udce9é"), min_size=1, max_size=12)
DEVICES = {"con", "nul", "aux", "prn", "com1", "lpt9"}


@given(NAMES | SHORT | st.sampled_from(sorted(DEVICES)))
def test_a_name_is_one_step_that_every_system_can_carry(name: str) -> None:
    for made in (safe_name(name), folder_name(name)):
        made.encode()  # no surrogate is left

        assert made and len(made.encode()) <= LONGEST
        assert not set('"*/:<>?|\\\0\n') & set(made)
        assert made not in (".", "..") and made[-1] not in ". "
        assert made.casefold().partition(".")[0] not in DEVICES
    assert not folder_name(name).startswith(".")


@given(SHORT, SHORT)
def test_different_names_never_become_one(one: str, other: str) -> None:
    assert (safe_name(one) == safe_name(other)) is (one == other)


@given(st.from_regex(r"[A-Za-zäé_][A-Za-z0-9äé_ ()+,-]{0,60}[a-z0-9]\.(ome\.)?tif", fullmatch=True))
def test_ordinary_names_stay_as_they_are(name: str) -> None:
    assert safe_name(name) == folder_name(name) == name


def test_a_long_name_keeps_its_ending_and_is_told_from_others() -> None:
    one, other = (safe_name("x" * 400 + end) for end in ("1.ome.tif", "2.ome.tif"))

    assert one != other
    assert one.endswith(".ome.tif") and len(one.encode()) == LONGEST
    assert len(safe_name("\u00e9" * 400).encode()) <= LONGEST


def test_a_path_goes_step_by_step() -> None:
    assert safe_path("run 1/a:b/c.tif") == ("run 1", "a%3Ab", "c.tif")


def test_the_folder_for_what_is_taken_is_called_as_the_batch() -> None:
    assert aside("HeLa day 3", 2) == "HeLa day 3 (2)"
    assert aside("x" * 255, 12).endswith(" (12)") and len(aside("x" * 255, 12)) <= LONGEST
    assert aside("../up", 2) == "%2E./up (2)".replace("/", "%2F")
