"""Which files form a fileset, by what was said of them: no file is needed to tell."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from dropwatch.model import FileFact
from dropwatch.task.grouping import Group, Grouping, Trouble, keys_first


def grouped(*looks: tuple[str, str]) -> list[str]:
    """The groups, each as its members, of looks as (asked, members); what is covered is not looked at."""
    grouping = Grouping()
    for asked, members in looks:
        if not grouping.covers(asked):
            grouping.add(Group(asked, tuple(members.split())))
    return [" ".join(group.members) for group in grouping.groups()]


def test_files_that_know_only_themselves_are_filesets_of_their_own() -> None:
    assert grouped(("a", "a"), ("b", "b")) == ["a", "b"]


def test_a_file_of_a_set_needs_no_look_of_its_own() -> None:
    assert grouped(("a", "a b c"), ("b", "never asked"), ("c", "never asked")) == ["a b c"]


def test_the_server_opens_the_file_that_bio_formats_names_first() -> None:
    assert grouped(("brain.img", "brain.hdr brain.img")) == ["brain.hdr brain.img"]


def test_a_larger_set_takes_in_the_smaller_ones_that_were_found_before() -> None:
    assert grouped(("a.tif", "a.tif"), ("b.tif", "b.tif"), ("c.lei", "c.lei a.tif b.tif")) == [
        "c.lei a.tif b.tif"
    ]


def test_a_set_of_several_files_is_taken_in_as_well() -> None:
    """Here the Java client would make two filesets, and import the image twice."""
    assert grouped(("a", "a x"), ("b", "b a x")) == ["b a x"]


def test_sets_that_overlap_both_stay() -> None:
    assert grouped(("a", "a meta"), ("b", "b meta")) == ["a meta", "b meta"]


def test_a_file_that_opens_others_in_its_place_goes_with_them() -> None:
    assert grouped(("x.log", "x.dv"), ("x.dv", "never asked")) == ["x.dv x.log"]
    assert grouped(("x.dv", "x.dv y.dv"), ("x.log", "x.dv")) == ["x.dv y.dv x.log"]
    assert grouped(("x.log", "x.dv"), ("y.dv", "y.dv x.dv")) == ["y.dv x.dv x.log"]


def test_a_file_of_which_nothing_is_named_is_its_own_set() -> None:
    assert grouped(("a", ""), ("b", "")) == ["a", "b"]


def test_a_set_in_trouble_claims_its_files_all_the_same() -> None:
    grouping = Grouping()
    grouping.add(Group("a", ("a",)))
    grouping.add(Group("b", ("b", "a", "c"), trouble=Trouble("It is damaged.", "", "unreadable")))

    assert grouping.covers("c")
    assert [(group.asked, bool(group.trouble)) for group in grouping.groups()] == [("b", True)]


def test_files_that_hold_a_set_together_are_looked_at_first() -> None:
    names = ["a.tif", "b.ome.tif", "z.companion.ome", "Plate.HTD", "y/metadata.txt", "q.hdr", "q.img"]

    order = [file.path for file in keys_first(FileFact(name, 1, 1) for name in names)]

    assert order == [
        "z.companion.ome",
        "Plate.HTD",
        "y/metadata.txt",
        "q.hdr",
        "a.tif",
        "b.ome.tif",
        "q.img",
    ]


_paths = st.sampled_from("abcdefgh")


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(_paths, st.lists(_paths, unique=True), min_size=1), st.randoms(use_true_random=False))
def test_no_file_is_lost_and_no_group_is_part_of_another(
    looks: dict[str, list[str]], random: st.DataObject
) -> None:
    grouping, order = Grouping(), list(looks)
    random.shuffle(order)  # type: ignore[attr-defined]
    for asked in order:
        if not grouping.covers(asked):
            grouping.add(Group(asked, tuple(looks[asked])))
    sets = [set(group.members) for group in grouping.groups()]

    assert all(any(asked in one for one in sets) for asked in looks)
    assert all(len(group.members) == len(set(group.members)) for group in grouping.groups())
    told = [frozenset(looks[group.asked]) for group in grouping.groups() if looks[group.asked]]
    assert not any(one <= other for n, one in enumerate(told) for m, other in enumerate(told) if n != m)


def test_sets_of_60000_files_are_grouped_in_a_second() -> None:
    many = [f"{number:05}.tif" for number in range(60_000)]
    begun = time.thread_time()

    grouping = Grouping()
    for name in many:  # each knows itself, and all share a file
        grouping.add(Group(name, (name, "shared.xml")))
    grouping.add(Group("plate.xdce", ("plate.xdce", "shared.xml", *many)))

    assert len(grouping.groups()) == 1
    assert time.thread_time() - begun < 5
