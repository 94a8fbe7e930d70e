"""What people and acquisition software write into batch.yaml, and what they are told about it."""

from __future__ import annotations

import json
import time
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dropwatch.errors import ManifestError
from dropwatch.manifest import (
    LARGEST,
    Manifest,
    compose,
    default_target,
    fill,
    is_manifest_name,
    lookalike,
    loose_stem,
    match,
    merge,
    parse,
    parse_target,
    schema,
    target_text,
    whole,
)
from dropwatch.model import Kind, ListedFile, Target

FULL = """\
dropwatch: 1
name: HeLa knockdown, day 3
target: "Project:HeLa/Dataset:day 3"
group: imaging-lab
description: |
  first line
  ...
  last line
tags: [confocal, day3]
key_values: {objective: 63x}
files: [{path: a.czi, size: 1234, sha256: %s}]
attachments: [notes.pdf]
notify: [pi@example.org]
from: {place: confocal1-disk, paths: [run7]}
user: alice
duplicates: import
""" % ("AB" * 32)


def complaints(text: str | bytes, source: str = "batch.yaml") -> list[str]:
    with pytest.raises(ManifestError) as caught:
        parse(text if isinstance(text, bytes) else text.encode(), source=source)
    return caught.value.problems


def read(text: str) -> Manifest:
    return parse(text.encode())


# -- what may be written --------------------------------------------------------------------------------


def test_every_key_is_read() -> None:
    manifest = read(FULL)

    assert manifest.name == "HeLa knockdown, day 3"
    assert manifest.target == Target(Kind.DATASET, name="day 3", project="HeLa")
    assert manifest.group == "imaging-lab"
    assert manifest.description == "first line\n...\nlast line\n"
    assert manifest.tags == ("confocal", "day3")
    assert manifest.key_values == {"objective": "63x"}
    assert manifest.files == (ListedFile("a.czi", 1234, "ab" * 32),)
    assert manifest.attachments == ("notes.pdf",)
    assert manifest.notify == ("pi@example.org",)
    assert manifest.from_ is not None
    assert (manifest.from_.place, manifest.from_.paths) == ("confocal1-disk", ("run7",))
    assert manifest.user == "alice"
    assert manifest.duplicates == "import"


@pytest.mark.parametrize(
    "data",
    [
        FULL.encode("utf-8-sig"),
        FULL.encode("utf-16"),
        b"\xfe\xff" + FULL.encode("utf-16-be"),
        FULL.replace("\n", "\r\n").encode(),
        FULL.replace("\n", "\r\n").encode("utf-16"),
    ],
    ids=["bom", "utf-16", "utf-16-be", "crlf", "utf-16-crlf"],
)
def test_whatever_an_editor_makes_of_it_reads_the_same(data: bytes) -> None:
    assert parse(data) == read(FULL)


def test_json_and_flow_style_read_as_yaml_does() -> None:
    block = read("name: Tag 3\ntags: [a, b]\nfiles:\n- {path: a.czi, size: 7}\n")

    assert parse(b'{"name": "Tag 3", "tags": ["a", "b"],\t"files": [{"path": "a.czi", "size": 7}]}') == block
    assert read("{name: Tag 3, tags: [a, b], files: [{path: a.czi, size: 7}]}") == block


def test_what_looks_like_a_number_or_a_date_stays_as_it_was_written() -> None:
    text = """\
name: 2024-01-01
tags: [1, 007, yes, 1e3]
key_values: {exposure: 10, gain: 1.50, ok: true, 5: x, none: }
"""

    manifest = read(text)

    assert manifest.name == "2024-01-01"
    assert manifest.tags == ("1", "007", "yes", "1e3")
    assert manifest.key_values == {"exposure": "10", "gain": "1.50", "ok": "true", "5": "x", "none": ""}


def test_numbers_in_json_stay_as_they_were_written_too() -> None:
    manifest = parse(
        b'{"tags": [1, 1.50, true], "key_values": {"n": 12345678901234567890, "x": 1E5, "b": false}}'
    )

    assert manifest.tags == ("1", "1.50", "true")
    assert manifest.key_values == {"n": "12345678901234567890", "x": "1E5", "b": "false"}


@pytest.mark.parametrize("text", ["# only remarks\n", "{}", "---\n", "tags:\nname:\ntarget: ~\n", "null\n"])
def test_a_manifest_that_says_nothing_means_the_defaults(text: str) -> None:
    assert read(text) == Manifest()


def test_ten_thousand_files_are_read_well_under_two_seconds() -> None:
    files = [ListedFile(f"day 3/p{n:05}.ome.tiff", n, "0a" * 32) for n in range(10_000)]
    block = "files:\n" + "".join(
        f"- path: {file.path}\n  size: {file.size}\n  sha256: {file.sha256}\n" for file in files
    )

    start = time.thread_time()
    manifest = read(block)
    again = parse(compose({}, files))
    took = time.thread_time() - start

    assert manifest.files == again.files == tuple(files)
    assert took < 4  # three parsings


# -- what is said about a wrong one ---------------------------------------------------------------------


def test_every_problem_is_told_at_once_with_its_line() -> None:
    text = """\
taget: Dataset:day 3
name: [a, b]
target: HeLa
tags: confocal
key_values: {objective: {na: 1.4}}
files:
- {path: ../a.czi}
- {path: b.czi, size: big}
- {path: c.czi, sise: 3, sha256: abc}
- size: 3
notify: [nobody]
from: {place: disk}
duplicates: maybe
dropwatch: 2
"""

    assert complaints(text) == [
        "batch.yaml line 1: taget: unknown key; did you mean target?",
        "batch.yaml line 2: name: expected a text, got a list",
        "batch.yaml line 3: target: expected Dataset:NAME, Screen:NAME or Project:X/Dataset:Y, got 'HeLa'",
        "batch.yaml line 4: tags: expected a list such as [a, b], got 'confocal'",
        "batch.yaml line 5: key_values.objective: expected a text, got several keys",
        "batch.yaml line 7: files[1].path: '../a.czi' leads out of the folder of the batch",
        "batch.yaml line 8: files[2].size: expected a whole number, got 'big'",
        "batch.yaml line 9: files[3].sha256: expected a SHA-256 of 64 hexadecimal digits, got 'abc'",
        "batch.yaml line 9: files[3].sise: unknown key; did you mean size?",
        "batch.yaml line 10: files[4].path: missing",
        "batch.yaml line 11: notify[1]: expected an address such as alice@example.org, got 'nobody'",
        "batch.yaml line 12: from.paths: missing",
        "batch.yaml line 13: duplicates: expected one of skip, import, got 'maybe'",
        "batch.yaml line 14: dropwatch: this dropwatch reads manifests of version 1, not 2",
    ]


def test_a_mistake_in_json_has_its_line_too() -> None:
    assert complaints(b'{\n "name": "x",\n "taget": "Dataset:y",\n "name": "z"\n}') == [
        "batch.yaml line 3: taget: unknown key; did you mean target?",
        "batch.yaml line 4: name: given twice",
    ]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "batch.yaml is empty; it may not have been written yet"),
        (b" \n\n", "batch.yaml is empty"),
        (
            b"name: caf\xe9\n",
            "batch.yaml line 1: this is not UTF-8 text; save the file with the encoding UTF-8",
        ),
        (b"\xff\xfen\x00a", None),
        (b"\xff\xfen\x00a\x00m", "batch.yaml line 1: this is not UTF-8 text"),
        ("name: x".encode("utf-16-le"), "batch.yaml line 1: this is not valid YAML (a control character"),
        (b"name: x\nname: y\n", "batch.yaml line 2: name: given twice"),
        (
            b"name: 'x\ntags: [a]\n",
            "batch.yaml line 1: this is not valid YAML (found unexpected end of stream)",
        ),
        (b"name: x\n\ttags: [a]\n", "batch.yaml line 2: this is not valid YAML"),
        (
            b"name: day 3: again\n",
            "batch.yaml line 1: this is not valid YAML (mapping values are not allowed",
        ),
        (b"tags: [*.tif]\n", "batch.yaml line 1: "),
        (
            b"name: !!python/object/apply:os.system [ls]\n",
            "batch.yaml line 1: the tag 'tag:yaml.org,2002:python/",
        ),
        (
            b"name: !!binary aGVsbG8=\n",
            "batch.yaml line 1: the tag 'tag:yaml.org,2002:binary' is not understood",
        ),
        (b"name: x\n---\nname: y\n", "batch.yaml line 2: a second document begins here"),
        (b"- name: x\n", "batch.yaml: expected keys such as `name: day 3`, got a list"),
        (b"day 3\n", "batch.yaml: expected keys such as `name: day 3`, got 'day 3'"),
        (
            b"name: x\x00\x00\x00",
            "batch.yaml line 1: this is not valid YAML (a control character is not allowed)",
        ),
        (b"? [a]\n: b\n", "batch.yaml line 1: the word before a colon must be plain text"),
        (b'{"name": "\\ud83d"}', "batch.yaml: name: it holds characters that are no text"),
        (b'{"description": "a\\u0000b"}', "batch.yaml line 1: description: it has a control character in it"),
        (b'{"group": "a\\nb"}', "batch.yaml line 1: group: it has a line break"),
        (b"files: [{path: a}, {path: ./a}]", "batch.yaml line 1: files: 'a' is listed twice"),
        (b"files: [{path: a, size: -1}]", "batch.yaml line 1: files[1].size: expected at least 0, got '-1'"),
        (b"files: [{path: a, size: %s}]" % (b"9" * 5000), "batch.yaml line 1: files[1].size: expected a"),
        (b'notify: ["a@b.org\\nBcc: x@y.org"]', "batch.yaml line 1: notify[1]: expected an address"),
        (b'"a\\nb": x', "batch.yaml line 1: a\\nb: unknown key; there are dropwatch, name, target"),
    ],
)
def test_what_cannot_be_read_is_said_in_plain_words(data: bytes, told: str | None) -> None:
    first = complaints(data)[0]

    assert told is None or first.startswith(told)
    assert first.isprintable()


def bombs() -> Iterator[tuple[str, bytes]]:
    laughs = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{name}: &{name} [{', '.join([f'*{chr(ord(name) - 1)}'] * 9)}]\n" for name in "bcdefghi"
    )
    yield "laughs", laughs.encode()
    yield "itself", b"tags: &a [*a]\n"
    yield "deep list", b"tags: " + b"[" * 5_000_000
    yield "deep dashes", b"- " * 5_000_000
    yield "deep json", b'{"a":' * 1_000_000
    yield "deep list in json", b'{"a": ' + b"[" * 900 + b"]" * 900 + b"}"
    yield "too large", b"#" * (LARGEST + 1)
    yield "very many values", b"tags: [" + b"a," * 5_000_000 + b"]"
    yield "very many keys", b"{" + b",".join(b'"%d":1' % n for n in range(500_000)) + b"}"
    yield "very many keys given twice", b"{" + b",".join(b'"%d":1' % (n // 2) for n in range(500_000)) + b"}"
    yield "very many keys in YAML", b"".join(b"k%d: 1\n" % n for n in range(300_000))
    yield "question marks", b"? " * 100_000
    yield "long word", b"a" * (LARGEST - 1)
    yield "open quote", b'name: "' + b"\n " * 1_000_000


@pytest.mark.parametrize(("name", "data"), [pytest.param(*bomb, id=bomb[0]) for bomb in bombs()])
def test_no_bomb_takes_long(name: str, data: bytes) -> None:
    start = time.thread_time()
    told = complaints(data)

    assert time.thread_time() - start < 20
    assert len(told) <= 51
    assert all(len(line) < 500 for line in told)


SIGNS = [
    ": ",
    ":",
    "- ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "&",
    "*",
    "!",
    "|",
    ">",
    "'",
    '"',
    "#",
    "...",
    "---",
    "? ",
    "~",
]
SPACES = ["\n", " ", "  ", "\t", "\ufeff", "\u2028", "\x85", "\x00"]
OTHERS = [*Manifest.keys(), "path", "size", "sha256", "place", "x.czi", "..", "1", "é", "\ud800", "\udce9"]
WORDS = st.sampled_from([*SIGNS, *SPACES, *OTHERS])


@given(st.binary(max_size=300))
@example(b"\xff\xfe\x00\x00a\x00\x00\x00")
def test_any_bytes_are_a_manifest_or_a_manifest_error(data: bytes) -> None:
    try:
        assert isinstance(parse(data), Manifest)
    except ManifestError as err:
        assert all(line.isprintable() for line in err.problems)
    assert whole(data) in (True, False)


@settings(max_examples=200)
@given(st.lists(WORDS, max_size=25).map("".join))
def test_any_text_is_a_manifest_or_a_manifest_error(text: str) -> None:
    test_any_bytes_are_a_manifest_or_a_manifest_error.hypothesis.inner_test(
        text.encode("utf-8", "surrogatepass")
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*Manifest.keys(), "path"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=100)
@given(st.dictionaries(st.sampled_from(Manifest.keys()), JSON))
def test_any_json_is_a_manifest_or_a_manifest_error(value: object) -> None:
    test_any_bytes_are_a_manifest_or_a_manifest_error.hypothesis.inner_test(json.dumps(value).encode())


# -- paths ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("a.czi", "a.czi"),
        ("day 3\\\\a.czi", "day 3/a.czi"),
        ("./day 3//a.czi", "day 3/a.czi"),
        ("a/..b", "a/..b"),
        ("con.txt", "con.txt"),
        ("line\\nbreak.tif", "line\nbreak.tif"),
        ("caf\\udce9.tif", "caf\udce9.tif"),
    ],
)
def test_paths_are_kept_with_one_separator(written: str, path: str) -> None:
    assert parse(f'{{"files": [{{"path": "{written}"}}]}}'.encode()).files == (ListedFile(path),)


@pytest.mark.parametrize("key", ["files", "attachments", "from"])
@pytest.mark.parametrize(
    "path",
    [
        "..",
        "../x",
        "a/../../x",
        "a\\..\\x",
        "/etc/passwd",
        "\\\\host\\x",
        "C:\\x",
        "C:x",
        "",
        ".",
        "a\0b",
        "\ud800",
    ],
)
def test_a_path_that_leads_elsewhere_is_refused(key: str, path: str) -> None:
    value = {"files": [{"path": path}], "attachments": [path], "from": {"place": "p", "paths": [path]}}[key]

    assert len(complaints(json.dumps({key: value}))) == 1


def test_listed_names_match_files_in_whatever_normal_form() -> None:
    nfd = unicodedata.normalize("NFD", "Zoé/é.czi")

    found = match(["Zoé/é.czi", "b.czi", "C.czi", "plain"], [nfd, "c.czi", "plain", "extra"])

    assert found.found == {"Zoé/é.czi": nfd, "plain": "plain"}
    assert found.missing == ("b.czi", "C.czi")
    assert found.hints == {"C.czi": "c.czi"}


def test_the_exact_name_comes_first() -> None:
    nfd = unicodedata.normalize("NFD", "é.czi")

    assert match(["é.czi", nfd], [nfd, "é.czi"]).found == {"é.czi": "é.czi", nfd: nfd}


# -- target ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("Dataset:123", Target(Kind.DATASET, id=123)),
        ("dataset: day 3 ", Target(Kind.DATASET, name="day 3")),
        ("Dataset:id:2", Target(Kind.DATASET, id=2)),
        ("Dataset:name:2024", Target(Kind.DATASET, name="2024")),
        ("Dataset:2024-01", Target(Kind.DATASET, name="2024-01")),
        ("Dataset:a/b", Target(Kind.DATASET, name="a/b")),
        ("Dataset:a:b", Target(Kind.DATASET, name="a:b")),
        ("Screen:plates", Target(Kind.SCREEN, name="plates")),
        ("Screen:7", Target(Kind.SCREEN, id=7)),
        ("Project:HeLa/Dataset:day 3", Target(Kind.DATASET, name="day 3", project="HeLa")),
        ("project: He/La / dataset: day 3", Target(Kind.DATASET, name="day 3", project="He/La")),
        ("Project:name:51/Dataset:name:7", Target(Kind.DATASET, name="7", project="51")),
    ],
)
def test_targets(text: str, target: Target) -> None:
    assert parse_target(text) == target
    assert parse_target(target_text(target)) == target


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("HeLa", "expected Dataset:NAME, Screen:NAME or Project:X/Dataset:Y, got 'HeLa'"),
        ("", "expected Dataset:NAME"),
        ("Plate:3", "expected Dataset:NAME"),
        ("Dataset:", "the name of the dataset is missing"),
        ("Dataset:id:x", "expected an id, a whole number, got 'x'"),
        ("Dataset:" + "9" * 30, "expected an id"),
        ("Project:HeLa", "a project holds datasets, no images; write Project:HeLa/Dataset:NAME"),
        ("Project:51/Dataset:x", "project and dataset go by name"),
        ("Project:HeLa/Dataset:51", "project and dataset go by name"),
        ("Dataset:{user}", r"unknown placeholder '\{user\}'; there are \{batch\}, \{folder\}, \{date\}"),
        ("Dataset:" + "x" * 256, "longer than 255 characters"),
        ("Dataset:a\nb", "line break"),
    ],
)
def test_what_is_no_target(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_target(text)


def test_placeholders_are_filled_in_once() -> None:
    target = parse_target("Project:{folder}/Dataset:{batch} {date}")

    filled = fill(target, batch="a {date}", folder="{batch}", date="2026-11-24")

    assert filled == Target(Kind.DATASET, name="a {date} 2026-11-24", project="{batch}")
    assert fill(parse_target("Dataset:{batch}"), batch="2024", folder="", date="").id is None
    assert fill(Target(Kind.DATASET, id=3), batch="a", folder="b", date="c") == Target(Kind.DATASET, id=3)


def test_names_are_cut_where_omero_would_refuse_them() -> None:
    long = "x" * 300

    assert len(fill(parse_target("Dataset:{batch}"), batch=long, folder="", date="").name or "") == 255
    assert default_target(long) == Target(Kind.DATASET, name="x" * 255)


@given(st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1, max_size=20))
def test_any_name_survives_being_written_as_a_target(name: str) -> None:
    try:
        target = parse_target(f"Dataset:name:{name}")
    except ValueError:
        return

    assert parse_target(target_text(target)) == target


# -- is it all there ------------------------------------------------------------------------------------

WHOLE = {
    "json": compose(
        {"name": "day 3", "description": "a}\n...\n"}, [ListedFile("a.czi", 1), ListedFile("b.czi", 2)]
    ),
    "flow": b"{name: day 3, tags: [a, '}'],\n files: [{path: a.czi, size: 1}]}",
    "end mark": FULL.encode() + b"...",
    "end mark, crlf": FULL.replace("\n", "\r\n").encode() + b"...",
    "utf-16": (FULL + "...").encode("utf-16"),
    "end mark after dashes": b"---\nname: a\nfiles:\n- path: a.czi\n- path: b.czi\n...",
}


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE.keys())
def test_cut_off_anywhere_it_does_not_prove_itself_whole(data: bytes) -> None:
    wrong = [data[:end] for end in range(len(data.rstrip())) if whole(data[:end])]

    assert whole(data)
    assert whole(data + b"") and parse(data)
    assert wrong == []


def test_block_style_without_an_end_mark_proves_nothing() -> None:
    assert not whole(FULL.encode())
    assert not whole(b"# only remarks\n")
    assert not whole(b"")


def test_space_that_was_reserved_but_not_written_yet_is_not_whole() -> None:
    assert not whole(WHOLE["end mark"] + b"\n" + b"\0" * 100)
    assert not whole(WHOLE["json"][:-5] + b"\0" * 5)


# -- names ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["batch.yaml", "Batch.YML", "batch.json", "BATCH.yaml.txt", "batch.yml.txt", "batch.json.TXT"]
)
def test_names_of_a_manifest(name: str) -> None:
    assert is_manifest_name(name)
    assert not lookalike(name)
    assert loose_stem(f"HeLa.{name}") == "HeLa"
    assert not is_manifest_name(f"HeLa.{name}")
    assert not lookalike(f"HeLa.{name}")


@pytest.mark.parametrize(
    "name",
    [
        "batch.yaml.yaml", "batch.yml.json", "batch.json.txt.txt", "bacth.yml", "bathc.yaml", "battch.yaml",
        "batches.yaml", "batch (1).yaml", "batch(2).json", "batch - Copy.yaml", "Copy of batch.yaml",
        "batch copy.yaml", "batch copy 2.yml", "batch - Kopie (2).yaml", "batch - Copie.yaml", "batch .yaml",
        " batch.yaml", "batch. yaml", "batch.yaml.rtf", "batch.yaml.docx", "manifest.yaml", "Manifest.yml",
        "dropwatch.yaml", "\uff42atch.yaml",
    ],
)  # fmt: skip
def test_names_that_were_meant_for_a_manifest(name: str) -> None:
    assert not is_manifest_name(name)
    assert lookalike(name)


@pytest.mark.parametrize(
    "name",
    [
        "metadata.yaml", "experiment.json", "manifest.json", "patch.json", "match.yaml", "bath.yaml",
        "batch.xml", "batch.txt", "batch.czi", "batch", "batch_2.json", "batch2.yaml", "batch1.json",
        "settings.yaml",
        "a.yaml", "batch.yaml.bak", "batch_metadata.json", "mybatch.yaml", ".yaml", "", "defaults.yaml",
        "copy of a.yaml", "x\n.yaml",
    ],
)  # fmt: skip
def test_data_of_the_user_is_no_lookalike(name: str) -> None:
    assert not lookalike(name)
    assert loose_stem(name) is None


# -- defaults, and the way back -------------------------------------------------------------------------


def test_a_manifest_wins_over_the_defaults_key_by_key() -> None:
    defaults = read("group: lab-a\ntags: [mine]\nnotify: [pi@example.org]\nfrom: {place: p, paths: [a]}")
    manifest = read("tags: []\ngroup:\nname: day 3\nfrom: {place: p, paths: [b]}")

    merged = merge(defaults, manifest)

    assert merged == read(
        "group: lab-a\ntags: []\nnotify: [pi@example.org]\nname: day 3\nfrom: {place: p, paths: [b]}"
    )
    assert merge(None, manifest) == manifest
    assert merge(defaults, None) == defaults
    assert merge(None, None) == Manifest()


def test_a_composed_manifest_reads_back_and_proves_itself_whole() -> None:
    files = [ListedFile("é.czi", 0, "0f" * 32), ListedFile("caf\udce9.tif", 5), ListedFile("c.tif")]

    data = compose({"name": "Zoë 😀", "target": "Dataset:{batch}", "key_values": {"a": 1}}, files)

    manifest = parse(data)
    assert whole(data)
    assert manifest.name == "Zoë 😀"
    assert manifest.files == tuple(files)
    assert manifest.key_values == {"a": "1"}


def test_composing_a_wrong_manifest_says_what_is_wrong() -> None:
    with pytest.raises(ManifestError, match="target: expected Dataset:NAME"):
        compose({"target": "HeLa"})


def test_the_schema_explains_every_key_and_its_examples_are_right() -> None:
    made = schema()

    properties = made["properties"]
    assert isinstance(properties, dict)
    assert set(properties) == set(Manifest.keys())
    for key, about in properties.items():
        assert about["description"].endswith("."), key
        for value in about["examples"]:
            assert parse(json.dumps({key: value}).encode())
    assert made["additionalProperties"] is False
    assert json.loads(json.dumps(made)) == made
