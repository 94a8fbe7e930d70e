"""What the fuzzing found, each with its smallest input, and inputs that are large on purpose."""

from __future__ import annotations

import json
import random
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("omero")

from dropwatch import config, document, manifest, mounts
from dropwatch.document import Unreadable
from dropwatch.errors import ConfigError, ManifestError
from dropwatch.formats import tiff
from dropwatch.ledger import Ledger
from dropwatch.litter import is_temporary
from dropwatch.model import CLAIM_STAMP, Place
from dropwatch.pipeline.addresses import Addresses
from dropwatch.pipeline.adoption import next_record
from dropwatch.sandbox import hql
from dropwatch.sandbox.faults import Faults
from dropwatch.spool.batch_name import folder_name
from dropwatch.spool.folders import MEMORY, Spool
from dropwatch.spool.identity import mount_points
from dropwatch.spool.presence import HEARTBEAT
from dropwatch.status.rows import envelope_at
from tests.still import Facility

MIB = 2**20


def complaints(text: str | bytes) -> list[str]:
    with pytest.raises(ManifestError) as caught:
        manifest.parse(text.encode() if isinstance(text, str) else text)
    return caught.value.problems


def config_complaints(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config.parse(text, source="/etc/dropwatch.yaml", read=lambda name: pytest.fail(f"opened {name!r}"))
    return caught.value.problems


# -- manifests and configurations --------------------------------------------------------------------------


@pytest.mark.parametrize("blanks", [5000, MIB])
def test_a_target_of_blanks_takes_no_time(blanks: int) -> None:
    begun = time.thread_time()
    told = complaints(f'target: "project:{" " * blanks}x"')

    assert time.thread_time() - begun < 2
    assert told == ["batch.yaml line 1: target: it is longer than 1020 characters"]


def test_a_project_without_a_dataset_is_named_harmlessly() -> None:
    told = complaints('target: "Project:He\u202ela"')

    assert told == [
        "batch.yaml line 1: target: a project holds datasets, no images; write Project:He\\u202ela/Dataset:NAME"
    ]


@pytest.mark.parametrize("target", ["Project:a\\udcff", "Dataset:\\ud800", "Foo:\\udcff"])
def test_half_a_character_in_a_target_is_refused(target: str) -> None:
    # No line: YAML, which tells lines, knows no such escape.
    told = complaints(f'{{"target": "{target}"}}')

    assert told == ["batch.yaml: target: it holds characters that are no text"]


@pytest.mark.parametrize("deep", [17, 200, 900])
def test_json_may_be_nested_as_deeply_as_yaml_and_no_deeper(deep: int) -> None:
    lists, mappings = '{"tags": ' + "[" * deep + "]" * deep + "}", '{"a": ' * deep + "1" + "}" * deep

    for text in (lists, mappings):
        assert complaints(text) == ["batch.yaml line 1: this is nested too deeply"]
        assert config_complaints(text) == ["/etc/dropwatch.yaml:1: this is nested too deeply"]


def test_a_tag_that_goes_on_for_ever_is_cut_in_the_complaint() -> None:
    (told,) = complaints(f"!{'x' * MIB} a")

    assert len(told) < 200
    assert told.startswith("batch.yaml line 1: the tag '!xxx")


def test_a_million_wrong_entries_are_not_told_one_by_one() -> None:
    begun = time.thread_time()
    told = complaints(b'{"files": [' + b"1," * 900_000 + b"1]}")

    assert time.thread_time() - begun < 10
    assert len(told) == 51
    assert told[0] == "batch.yaml: files[1]: expected keys with their values, got '1'"


def test_the_first_wrong_entry_of_a_long_list_is_told_by_its_number() -> None:
    lines = "".join(f"- a{number}\n" for number in range(2500))

    assert complaints(f"tags:\n{lines}- ' '\n") == ["batch.yaml line 2502: tags[2501]: it is empty"]


@pytest.mark.parametrize("name", ["a\\0b", "a\\nb", "x" * 5000])
def test_no_file_can_be_called_so(name: str) -> None:
    for key in ("include", "state"):
        (told,) = [one for one in config_complaints(f'{key}: "{name}"') if f"{key}: " in one]

        assert len(told) < 200
        assert told.isprintable()


def test_many_spools_and_users_are_compared_in_no_time() -> None:
    spools = ", ".join(f"{{path: /s{number}}}" for number in range(2000))
    users = ", ".join(f"u{number}: {{}}" for number in range(3000))
    head = "state: /x\nmail: null\nomero: {host: a, user: b}\n"
    begun = time.thread_time()
    config.parse(f"{head}spools: [{spools}]\nusers: {{{users}}}\n", source="/c", read=str)
    told = config_complaints(f"{head}spools: [{{path: /a/b}}, {spools}, {{path: /a}}, {{path: /s7}}]\n")

    assert time.thread_time() - begun < 5
    assert [one.partition(": ")[2] for one in told] == [
        "spools[2002].path: it must be apart from the spool /a/b",
        "spools[2003].path: it must be apart from the spool /s7",
    ]


# -- a batch's own memory, as its user may have forged it ----------------------------------------------------

FORGED = {
    "a number that no float holds": 10**400,
    "the year 570920": 1.8e13,
    "beyond the clock": 1e300,
    "no number": float("nan"),
    "before all time": -1e300,
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
@pytest.mark.parametrize("key", ["claimed_at", "not_before", "attempts"])
def test_a_forged_number_in_a_record_makes_it_lost_and_status_goes_on(
    tmp_path: Path, key: str, forged: float
) -> None:
    facility = Facility(tmp_path)
    facility.claimed("bob", "other")
    envelope = facility.claimed("alice", "HeLa", number=1)
    record = envelope / MEMORY / "record.json"
    plain = json.loads(record.read_text())
    plain["_default"]["1"][key] = forged
    record.write_text(json.dumps(plain))

    assert Ledger(MEMORY).read(envelope) is None
    assert [row["name"] for row in facility.json("status")["batches"]] == ["other", "HeLa"]
    assert facility("status").exit_code == 0
    assert facility("show", "HeLa").exit_code == 0


def test_a_forged_time_of_a_fileset_is_as_if_it_had_not_been_written(tmp_path: Path) -> None:
    facility = Facility(tmp_path)
    envelope = facility.claimed("alice", "HeLa", lines=[facility.line(0, "a.tif", None)])
    lines = envelope / MEMORY / "filesets.jsonl"
    lines.write_text(lines.read_text().replace('"at": ', '"at": 9999'))

    assert Ledger(MEMORY).history(envelope) == []
    assert facility.json("show", "HeLa")["filesets"]["each"] == []


@pytest.mark.parametrize("name", ["../../../bob/inbox/x", "a/b", "..", "a\0b"])
def test_a_forged_name_in_a_record_never_becomes_part_of_a_path(tmp_path: Path, name: str) -> None:
    facility = Facility(tmp_path)
    path = facility.claimed("alice", "HeLa", title=name, dropped=name)
    envelope = envelope_at("alice", Place.FAILED, path)
    assert envelope is not None
    old = Ledger(MEMORY).read(path)
    record = next_record(old, "20261124-130355-abcd", envelope, "20261124-130355-efgh", 0.0)
    back = Spool(facility.spool).take_returned(envelope, record.claim, record.name)

    assert old is not None
    assert record.name == "HeLa"
    assert back.path.parent == facility.spool / "alice" / "processing"


def test_half_a_character_in_a_record_makes_it_lost(tmp_path: Path) -> None:
    facility = Facility(tmp_path)
    undecodable = facility.claimed("alice", "a", title="\udcff")
    forged = facility.claimed("alice", "b", number=1, title="\ud800")
    ledger = Ledger(MEMORY)
    kept = ledger.read(undecodable)

    assert kept is not None
    assert kept.name == "\udcff"  # a byte of a file name
    assert ledger.read(forged) is None


def test_a_claim_stamp_is_made_of_our_own_digits() -> None:
    assert CLAIM_STAMP.fullmatch("20261124-130355-abcd")
    assert not CLAIM_STAMP.fullmatch("٢٠٢٦١١٢٤-١٣٠٣٥٥-abcd")


# -- what the daemon keeps --------------------------------------------------------------------------------------

PULSES = {
    "deep": "[" * 100_000,
    "no number": '{"beat": NaN, "started": Infinity}',
    "other shapes": '{"beat": {}, "targets": [1], "working": {}, "workers": 3, "spools": "x", "stopped": []}',
    "other shapes below": '{"beat": 1, "targets": {"omero": 3}, "working": [3, {"batch": []}], "workers": {"died": "x"}}',  # noqa: E501
    "beyond the clock": '{"beat": 1e300, "targets": {"omero": {"since": 1e300, "times": "x"}}}',
}


@pytest.mark.parametrize("pulse", PULSES.values(), ids=PULSES)
def test_status_works_whatever_stands_in_the_heartbeat(tmp_path: Path, pulse: str) -> None:
    facility = Facility(tmp_path)
    facility.claimed("alice", "HeLa", Place.PROCESSING)
    facility.state.mkdir()
    (facility.state / HEARTBEAT).write_text(pulse)

    assert facility("status").exit_code == 0
    assert facility.json("status")["batches"][0]["name"] == "HeLa"


@pytest.mark.parametrize("text", ["[" * 100_000, "[]", '{"alice": 7}', "\xff"])
def test_odd_addresses_are_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "addresses.json"
    path.write_bytes(text.encode("latin-1"))

    assert Addresses(path).get("alice") is None


ODD_FAULTS = [
    "a: !!int x",
    "a: !!bool x",
    "a: !!timestamp x",
    "a: 2026-99-99",
    "a: !!binary é",
    "[" * 100_000,
    "a: &a [*a]",
]


@pytest.mark.parametrize("text", ODD_FAULTS)
def test_the_last_good_faults_stand_while_the_file_is_odd(tmp_path: Path, text: str) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("omero: {busy: 2}")
    faults = Faults(path)
    assert faults.get("omero") == {"busy": 2}
    path.write_text(text, encoding="utf-8")

    assert faults.get("omero") in ({"busy": 2}, {})


# -- names, tables, questions -----------------------------------------------------------------------------------


def test_what_is_submitted_never_gets_a_name_that_holds_it_back() -> None:
    rng = random.Random(7)
    for _ in range(2000):
        name = folder_name("".join(rng.choices("a~.$_ ", k=rng.choice((3, 200, 300)))))

        assert not is_temporary(name), name


def test_mounts_may_be_called_whatever_the_kernel_allows() -> None:
    table = "a /srv/x\x0cy\u2028z ext4 rw 0 0\n# no /mnt x\n\tb \t/mnt/drop\\040watch nfs rw 0 0\n"
    info = b"25 1 0:2 / /srv/a\rb rw - fuse.sshfs x rw\n"

    assert mount_points(table) == [Path("/srv/x\x0cy\u2028z"), Path("/mnt/drop watch")]
    assert mounts.kind_of_mount(info, b"mnt_id:\t25\n") == "fuse.sshfs"


def test_a_number_in_a_question_is_no_longer_than_an_id() -> None:
    with pytest.raises(hql.Unknown):
        hql.parse(f"from Image i where i.id = {'9' * 5000}")


# -- images -----------------------------------------------------------------------------------------------------


def entry(tag: int, kind: int, many: int, value: int) -> bytes:
    return struct.pack("<HHII", tag, kind, many, value)


def page(*entries: bytes, after: int) -> bytes:
    return struct.pack("<H", len(entries)) + b"".join(entries) + struct.pack("<I", after)


HEAD = b"II*\0\x08\0\0\0"
LOOPS = {
    "a chain that bites its tail": HEAD + page(*[entry(1, 3, 1, 0)] * 5000, after=8),
    "pages below that are the page itself": HEAD
    + page(entry(330, 4, 4000, 26), after=8)
    + b"\x08\0\0\0" * 4000,
    "pages that share one long field": HEAD
    + page(entry(273, 1, 60_000, 40), entry(279, 1, 60_000, 40), after=8)
    + b"\1" * 60_020,
}  # fmt: skip


@pytest.mark.parametrize("data", LOOPS.values(), ids=LOOPS)
def test_a_tiff_of_loops_is_left_in_no_time(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(data)
    begun = time.thread_time()
    tiff.is_cut(path)
    tiff.named_files(path)

    assert time.thread_time() - begun < 1


def test_a_description_that_is_no_text_names_no_files(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(HEAD + page(entry(270, 3, 1, 300), after=0))

    assert tiff.named_files(path) == set()


# -- large on purpose -------------------------------------------------------------------------------------------

LARGE = {
    "brackets": b"[" * MIB,
    "braces": b'{"a":' * (MIB // 5),
    "dashes": b"- " * (MIB // 2),
    "dashes below each other": b"-\n" * (MIB // 2),
    "question marks": b"? " * (MIB // 2),
    "a long key": b'"' + b"k" * MIB + b'": 1',
    "a long key, the long way": b"? " + b"k" * MIB + b"\n: 1",
    "a million digits": b"dropwatch: " + b"9" * 10**6,
    "a size of a million digits": b'{"files": [{"path": "a", "size": ' + b"9" * 10**6 + b"}]}",
    "an exponent of a million digits": b"dropwatch: 1e" + b"9" * 10**6,
    "an anchor": b"&" + b"x" * MIB + b" a",
    "an alias": b"*" + b"x" * MIB,
    "a version": b"%YAML 1." + b"9" * MIB + b"\n--- a",
    "one key again and again": b"name: a\n" * (MIB // 8),
    "one key again and again, in JSON": b"{" + b'"a": 1, ' * (MIB // 8) + b'"a": 1}',
    "unknown keys": b"".join(b"k%d: 1\n" % number for number in range(100_000)),
    "merge keys": b"<<: {a: b}\n" * (MIB // 12),
    "a quote that is never closed": b'name: "' + b"x" * MIB,
    "backslashes": b'"' + b"\\" * MIB,
    "blank lines": b"a: >\n" + b" a\n\n" * (MIB // 4),
    "line ends of other scripts": b"name: a" + "\u2028\x85".encode() * (MIB // 5),
    "documents": b"---\n" * (MIB // 4),
    "end marks": b"...\n" * (MIB // 4),
    "NUL": b"\0" * MIB,
    "no text": b"\xff" * MIB,
    "halves of characters": b"\xff\xfe" + b"\x00\xd8" * (MIB // 2),
    "placeholders": b'target: "Dataset:' + b"{" * MIB + b'"',
    "an address": b"notify: ['" + b"a@" * (MIB // 2) + b"']",
    "a way up": b"files: [{path: " + b"../" * (MIB // 3) + b"}]",
    "accents": b"name: e" + "\u0301".encode() * (MIB // 2),
    "python": b"name: !!python/object/apply:os.system ['false']",
}


#: These take seconds, all within what is allowed.
SLOW = ("merge keys", "dashes below each other", "one key again and again", "unknown keys")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(data, id=name, marks=[pytest.mark.long] if name in SLOW else [])
        for name, data in LARGE.items()
    ],
)
def test_a_mebibyte_of_anything_is_read_or_refused_in_seconds(data: bytes) -> None:
    for read in (manifest.parse, _as_config):
        begun = time.thread_time()
        told = _told_by(read, data)

        assert time.thread_time() - begun < 16  # a second for each 64 KiB, which is far more than it takes
        assert len(told) <= 51
        assert all(one.isprintable() and len(one) < 700 for one in told)


def _as_config(data: bytes) -> object:
    try:
        text = document.decode(data)
    except Unreadable as err:
        raise ConfigError([err.message]) from err
    return config.parse(text, source="/etc/dropwatch.yaml", read=str)


def _told_by(read: Callable[[bytes], object], data: bytes) -> list[str]:
    try:
        read(data)
    except (ManifestError, ConfigError) as err:
        return err.problems
    return []
