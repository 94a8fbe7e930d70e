"""What a configuration may say, and what is said about a wrong one."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from dropwatch.config import Config, load, parse
from dropwatch.config.files import PATHS
from dropwatch.config.sections import Omero, Settings, User
from dropwatch.config.values import Bytes, Percent, duration, free_space
from dropwatch.errors import ConfigError

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"
SMALLEST = """\
spools: [{path: /srv/drop}]
state: /var/lib/dropwatch
omero: {host: omero.example.org, user: dropwatch}
mail: null
"""
MAIL = "{host: h, from: d@example.org, admins: [it@example.org]}"


def made(text: str, files: dict[str, str] | None = None) -> Config:
    """Parse *text* as /etc/dw/dropwatch.yaml; *files* are those it may include."""

    def read(name: str) -> str:
        try:
            return (files or {})[name.replace("\\", "/")]
        except KeyError:
            raise ConfigError([f"{name}: cannot be read: no such file"], source=name) from None

    return parse(text, source="/etc/dw/dropwatch.yaml", read=read)


def complaints(text: str, files: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        made(text, files)
    return [line.removeprefix("/etc/dw/") for line in caught.value.problems]


def sections(model: type[BaseModel]) -> Iterator[tuple[type[BaseModel], str, object]]:
    """Every key of every section below *model*, with its type."""
    for name, field in model.model_fields.items():
        yield model, field.alias or name, field.annotation
        for part in parts(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from sections(part)


def parts(annotation: object) -> Iterator[object]:
    yield annotation
    for part in get_args(annotation):
        yield from parts(part)


# -- what it may say ------------------------------------------------------------------------------------


def test_the_example_loads_and_says_what_the_defaults_are() -> None:
    config = load(EXAMPLE)

    smallest = made(SMALLEST)
    assert config.omero is not None and config.mail is not None
    assert config.mail.from_ == "dropwatch@example.org"
    assert config.users["alice"] == User(email="alice@example.org", omero="alice")
    for name in ("retry", "workers", "duplicates", "limits", "retention", "web", "metrics", "importer"):
        assert getattr(config, name) == getattr(smallest, name), name
    assert config.spools[0].model_copy(update={"path": Path("/srv/drop")}) == smallest.spools[0]
    assert config.omero.port == Omero(host="h", user="u").port == 4064


def test_every_key_of_the_model_is_in_the_example() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")

    missing = [key for _, key, _ in sections(Settings) if not re.search(rf"(?m)^[# -]*{key}:", text)]
    assert not missing


def test_page_and_metrics_listen_on_this_machine_alone_until_told_otherwise() -> None:
    config = made(SMALLEST)

    assert (config.web.host, config.metrics.host) == ("127.0.0.1", "127.0.0.1")


def test_the_defaults_are_those_of_the_design() -> None:
    config = made(SMALLEST)

    [spool] = config.spools
    assert (spool.watch, spool.poll, spool.sweep, spool.settle) == ("auto", 10, 300, 60)
    assert (spool.incomplete.tell, spool.incomplete.fail) == (3600, 86400)
    assert config.retry.import_ == config.retry.mail == (30, 300, 1800, 7200, 21600, 43200, 86400)
    assert (config.workers.imports, config.workers.per_user, config.workers.timeout) == (2, 1, 43200)
    assert config.limits.min_free == Percent(5)
    assert config.retention.done is None
    assert config.duplicates == "skip"


def test_a_section_whose_lines_are_all_commented_out_means_the_defaults() -> None:
    assert made(SMALLEST + "users:\nlimits:\n  # min_free: 1%\nsite:\n") == made(SMALLEST)


def test_no_retry_is_an_empty_list() -> None:
    assert made(SMALLEST + "retry: {import: [], mail: [0, 500ms, 1.5h]}").retry.mail == (0, 0.5, 5400)
    assert made(SMALLEST + "retry: {import: []}").retry.import_ == ()


def test_what_this_version_cannot_do_yet_is_refused_not_ignored() -> None:
    for text in ("retention: {done: 30d}", "mail: {host: h, from: a@b.c, admins: [a@b.c], templates: /t}"):
        with pytest.raises(ConfigError, match="cannot do it yet"):
            made(SMALLEST.replace("mail: null", "") + text if "mail" in text else SMALLEST + text)


def test_limits() -> None:
    config = made(SMALLEST + "limits: {min_free: 50GiB}")

    assert config.limits.min_free == Bytes(50 * 2**30)
    assert config.limits.min_free.of(10**15) == 50 * 2**30
    assert Percent(5).of(1000) == 50
    assert made(SMALLEST + "retention: {done: never}").retention.done is None


def test_the_configuration_cannot_be_changed_and_travels_to_a_worker() -> None:
    config = load(EXAMPLE)

    assert pickle.loads(pickle.dumps(config)) == config
    with pytest.raises(ValidationError, match="frozen"):
        config.duplicates = "import"


def test_a_file_with_a_byte_order_mark_from_windows_loads(tmp_path: Path) -> None:
    path = tmp_path / "dropwatch.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + SMALLEST.replace("\n", "\r\n").encode())

    assert load(path).state == Path("/var/lib/dropwatch")


# -- what others ask it ---------------------------------------------------------------------------------


def test_a_place_is_apart_from_all_that_is_ours_and_says_who_may_use_it() -> None:
    text = """\
spools: [{path: /srv/drop}]
state: /var/lib/dropwatch
importer: folder
folder: {path: /archive}
mail: null
places:
  disk: {path: /data/confocal1, users: ["*"]}
  Disk: {path: /data, users: []}
  inner: {path: /srv/drop/alice, users: [alice]}
  outer: {path: /var/lib, users: [alice]}
  old: {path: /archive/2025, users: [alice]}
"""
    good = made(
        text.replace("  Disk", "#").replace("  inner", "#").replace("  outer", "#").replace("  old", "#")
    )

    assert [(name, str(place.path), place.users) for name, place in good.places.items()] == [
        ("disk", "/data/confocal1", ("*",))
    ]
    assert complaints(text) == ["dropwatch.yaml:8: places.Disk.users: the list is empty"]
    assert complaints(text.replace("users: []", "users: [bob]")) == [
        "dropwatch.yaml:8: places.Disk: it is the same name as disk",
        "dropwatch.yaml:9: places.inner.path: it must be apart from the spool /srv/drop",
        "dropwatch.yaml:10: places.outer.path: it must be apart from the state folder /var/lib/dropwatch",
        "dropwatch.yaml:11: places.old.path: it must be apart from the archive /archive",
    ]


PEOPLE = """\
users: {alice: {omero: a.liddell, start: manifest}, Zoé: {}}
instruments: {Confocal1: {may_import_for: [alice]}}
"""


def test_names_of_users_match_whatever_their_case_and_normal_form() -> None:
    config = made(SMALLEST + PEOPLE)

    assert config.user("ALICE").start == "manifest"
    assert config.omero_name("Alice") == "a.liddell"
    assert config.omero_name("Zoe\u0301") == "Zoé"
    assert config.instrument("confocal1") == config.instruments["Confocal1"]


def test_a_user_that_is_not_listed_has_the_defaults() -> None:
    config = made(SMALLEST + PEOPLE)

    assert config.user("bob") == User()
    assert config.omero_name("Bob") == "Bob"
    assert config.instrument("bob") is None


def test_notify_is_limited_to_what_the_admin_allows() -> None:
    mail = MAIL.replace("}", ', send_to: ["*@example.org", "pi@*.edu"]}')
    config = made(SMALLEST.replace("null", mail))

    assert config.may_send_to("Carol@Example.ORG")
    assert config.may_send_to("pi@lab.edu")
    assert not config.may_send_to("x@example.org.evil.net")
    assert not made(SMALLEST.replace("null", MAIL)).may_send_to("carol@example.org")
    assert not made(SMALLEST).may_send_to("carol@example.org")


def test_the_spool_of_a_path() -> None:
    config = made(SMALLEST.replace("}]", "}, {path: /srv/drop2}]"))

    assert config.spool_for(Path("/srv/drop2/alice/inbox/x")) == config.spools[1]
    assert config.spool_for(Path("/srv/dropped")) is None


# -- files beside it ------------------------------------------------------------------------------------


def test_relative_paths_start_at_the_folder_of_the_file_they_stand_in(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "base.yaml").write_text(
        "omero: {host: h, user: u, password_file: omero.password}\nmail: null\n", encoding="utf-8"
    )
    (tmp_path / "site.yaml").write_text(
        "include: shared/base.yaml\nspools: [{path: spool}]\nstate: state\n", encoding="utf-8"
    )

    config = load(tmp_path / "site.yaml")

    assert config.spools[0].path == tmp_path / "spool"
    assert config.state == tmp_path / "state"
    assert config.omero is not None
    assert config.omero.password_file == tmp_path / "shared" / "omero.password"


def test_every_path_of_the_model_is_anchored() -> None:
    paths = {key for _, key, annotation in sections(Settings) if Path in parts(annotation)}

    assert paths == PATHS


def test_the_including_file_wins_key_by_key_and_its_lists_replace() -> None:
    base = SMALLEST + "retry: {import: [1s, 2s], mail: [3s]}\nusers: {bob: {start: manifest}}\n"

    config = made(
        "include: base.yaml\nretry: {import: [9s]}\nomero: {port: 14064}\nusers: {alice: {}}",
        {"/etc/dw/base.yaml": base},
    )

    assert config.retry.import_ == (9,)
    assert config.retry.mail == (3,)
    assert config.omero is not None
    assert (config.omero.host, config.omero.port) == ("omero.example.org", 14064)
    assert set(config.users) == {"bob", "alice"}


def test_a_base_may_have_a_base_and_each_problem_names_its_file() -> None:
    files = {
        "/etc/dw/a/one.yaml": "include: two.yaml\nsite: {nam: x}\n",
        "/etc/dw/a/two.yaml": SMALLEST + "web: {prt: 1}",
    }

    assert complaints("include: a/one.yaml\n\nduplicates: maybe", files) == [
        "dropwatch.yaml:3: duplicates: expected one of skip, import, got 'maybe'",
        "a/one.yaml:2: site.nam: unknown setting; did you mean name?",
        "a/two.yaml:5: web.prt: unknown setting; did you mean port?",
    ]


def test_includes_that_go_round_in_a_circle_are_refused() -> None:
    files = {"/etc/dw/base.yaml": "include: x/../dropwatch.yaml\n"}

    assert complaints("include: base.yaml", files) == [
        "base.yaml:1: include: 'x/../dropwatch.yaml' goes round in a circle"
    ]


def test_an_endless_chain_of_includes_ends() -> None:
    files = {f"/etc/dw/{n}.yaml": f"include: {n + 1}.yaml" for n in range(100)}

    assert "circle" in complaints("include: 0.yaml", files)[0]


def test_an_included_file_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "dropwatch.yaml").write_text("include: base.yaml", encoding="utf-8")

    with pytest.raises(ConfigError, match=r"base\.yaml: cannot be read: No such file"):
        load(tmp_path / "dropwatch.yaml")


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "dropwatch.yaml").write_bytes(b"site:\n  name: caf\xe9\n")

    with pytest.raises(ConfigError, match=r"dropwatch\.yaml:2: this is not UTF-8 text"):
        load(tmp_path / "dropwatch.yaml")


# -- what is said about a wrong one ---------------------------------------------------------------------


def test_every_problem_is_told_at_once_with_its_line() -> None:
    text = """\
spools:
  - path: /srv/drop
    settle: 10
    wach: auto
  - sweep: 0
omero:
  host: omero.example.org
  prt: 4064
  port: 4064x
  secure: perhaps
mail: {host: h, from: "a@b\\nBcc: x@y", admins: [], security: ssl, port: 99999}
retry: {import: 5m}
retention: {done: sometimes}
limits: {min_free: lots}
site: {timezone: Mars/Olympus}
users: {alice: yes, a/b: {}}
importre: omero
"""

    assert complaints(text) == [
        "dropwatch.yaml: state: missing",
        "dropwatch.yaml:3: spools[1].settle: expected a duration such as 10s, 5m, 2h or 1d, got '10'",
        "dropwatch.yaml:4: spools[1].wach: unknown setting; did you mean watch?",
        "dropwatch.yaml:5: spools[2].path: missing",
        "dropwatch.yaml:5: spools[2].sweep: it must be longer than 0",
        "dropwatch.yaml:6: omero.user: missing",
        "dropwatch.yaml:8: omero.prt: unknown setting; did you mean port?",
        "dropwatch.yaml:9: omero.port: expected a whole number, got '4064x'",
        "dropwatch.yaml:10: omero.secure: expected true or false, got 'perhaps'",
        "dropwatch.yaml:11: mail.admins: the list is empty",
        "dropwatch.yaml:11: mail.from: expected an address such as alice@example.org, got 'a@b\\nBcc: x@y'",
        "dropwatch.yaml:11: mail.port: expected at most 65535, got '99999'",
        "dropwatch.yaml:11: mail.security: expected one of none, starttls, tls, got 'ssl'",
        "dropwatch.yaml:12: retry.import: expected a list such as [a, b], got '5m'",
        "dropwatch.yaml:13: retention.done: expected a duration such as 10s, 5m, 2h or 1d, got 'sometimes'",
        "dropwatch.yaml:14: limits.min_free: expected a part (5%) or a size (50GiB), got 'lots'",
        "dropwatch.yaml:15: site.timezone: 'Mars/Olympus' is no time zone such as Europe/Paris or UTC",
        "dropwatch.yaml:16: users.a/b: 'a/b' cannot be the name of a drop folder",
        "dropwatch.yaml:16: users.alice: expected keys with their values, got 'yes'",
        "dropwatch.yaml:17: importre: unknown setting; did you mean importer?",
    ]


def test_mail_must_be_spoken_of() -> None:
    assert complaints(SMALLEST.replace("mail: null\n", "")) == ["dropwatch.yaml: mail: missing"]
    assert made(SMALLEST).mail is None


def test_the_importer_needs_its_server() -> None:
    [told] = complaints(SMALLEST.replace("omero:", "site: {} #"))

    assert told.startswith("dropwatch.yaml: omero: missing; the importer needs to know its server")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("importer: none", "importer: expected one of omero, omero-cli, folder, got 'none'"),
        ("workers: {engine: dask}", "workers.engine: dask is planned, but this version knows only local"),
        ("site: {language: fr}", "site.language: fr is planned, but this version knows only en"),
    ],
)
def test_what_this_version_cannot_do_yet_is_said_plainly(text: str, told: str) -> None:
    if text.startswith("importer"):
        text += "\nfolder: {path: /archive}"

    assert f"dropwatch.yaml:5: {told}" in complaints(SMALLEST + text)


@pytest.mark.parametrize(
    "key", ["password", "Password", "passwd", "smtp_password", "api_key", "token", "secret"]
)
@pytest.mark.parametrize("value", ["hunter2", "[hunter2]"])
def test_a_secret_in_the_file_is_refused_and_never_repeated(key: str, value: str) -> None:
    [told] = complaints(SMALLEST.replace("user: dropwatch", f"user: dropwatch, {key}: {value}"))

    assert told.startswith(
        f"dropwatch.yaml:3: omero.{key}: no secret stands in this file; write it into a file"
    )
    assert "password_file" in told
    assert "hunter2" not in told


def test_the_value_of_an_unknown_key_is_never_repeated() -> None:
    assert "hunter2" not in "".join(complaints(SMALLEST + "omero_pasword: hunter2"))


def test_a_key_given_twice_is_refused() -> None:
    assert complaints(SMALLEST + "web:\n  port: 1\n  port: 2\n") == [
        "dropwatch.yaml:7: web.port: given twice"
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("site:\n\tname: x", "dropwatch.yaml:6: this is not valid YAML"),
        ("a: b: c", "dropwatch.yaml:5: this is not valid YAML"),
        ("site: {name: x", "dropwatch.yaml:6: this is not valid YAML"),
        ("site: {name: 'x}\nweb: {}\n", "dropwatch.yaml:5: this is not valid YAML"),
        ("a: &a [x]\nb: [*a, *a]", "dropwatch.yaml:5: anchors and aliases"),
        ("b: *a", "dropwatch.yaml:5: anchors and aliases"),
        (
            "x: !!python/object:os.system ls",
            "dropwatch.yaml:5: the tag 'tag:yaml.org,2002:python/object:os.system'",
        ),
        ("---\na: b", "dropwatch.yaml:5: a second document"),
        ("[a]: b", "dropwatch.yaml:5: the word before a colon must be plain text"),
        ("x: " + "[" * 1000, "dropwatch.yaml:5: this is nested too deeply"),
        ("x: a\x00b", "dropwatch.yaml:5: this is not valid YAML (a control character"),
        ("x: a\ud800b", "dropwatch.yaml: it holds characters that are no text"),
    ],
)
def test_what_is_no_plain_yaml_is_refused_with_its_line(text: str, told: str) -> None:
    [complaint] = complaints(SMALLEST + text)

    assert complaint.startswith(told)


@pytest.mark.parametrize("text", ["just text", "[a, b]"])
def test_a_file_without_settings_is_refused(text: str) -> None:
    assert complaints(text)[0].startswith("dropwatch.yaml:1: expected settings such as")


def test_an_empty_file_lacks_what_is_needed() -> None:
    told = complaints("# nothing yet\n")

    assert {line.split(": ")[1] for line in told} == {"spools", "state", "mail", "omero"}


def test_settings_that_contradict_each_other_are_refused() -> None:
    text = """\
spools:
  - {path: /srv/drop, incomplete: {tell: 2h, fail: 1h}}
  - {path: /srv/drop/more}
state: /srv/drop/state
omero: {host: omero.example.org, user: dropwatch}
mail: null
users: {alice: {}, Alice: {}}
folder: {path: /srv}
"""

    assert complaints(text) == [
        "dropwatch.yaml:2: spools[1].incomplete.fail: it must not be shorter than tell",
        "dropwatch.yaml:3: spools[2].path: it must be apart from the spool /srv/drop",
        "dropwatch.yaml:4: state: it must not lie in the spool /srv/drop, which users can write to",
        "dropwatch.yaml:7: users.Alice: it is the same drop folder as alice",
        "dropwatch.yaml:8: folder.path: it must be apart from the spool /srv/drop",
        "dropwatch.yaml:8: folder.path: it must be apart from the spool /srv/drop/more",
    ]


def test_very_many_problems_are_cut_short() -> None:
    told = complaints(SMALLEST + "".join(f"unknown{number}: x\n" for number in range(500)))

    assert len(told) == 51
    assert told[-1] == "and more"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0", 0), ("500ms", 0.5), ("10s", 10), ("5m", 300), ("2h", 7200), ("1d", 86400), ("1.5 h", 5400)],
)
def test_durations(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "10", "-5s", "5 minutes", "1h30m", "s", "٣s", "1e3s", "999999999d", "infs"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a duration|longer than ten years"):
        duration(text)


def test_sizes() -> None:
    assert free_space("0B") == Bytes(0)
    assert free_space("1.5 kB") == Bytes(1500)
    assert free_space("2TB") == Bytes(2 * 10**12)
    assert free_space("2TiB") == Bytes(2 * 2**40)
    assert free_space("12.5%") == Percent(12.5)
    for wrong in ("", "100%", "5", "-1%", "5 GiBs"):
        with pytest.raises(ValueError, match=r"expected a part \(5%\)"):
            free_space(wrong)


@given(st.text(alphabet=st.characters(), max_size=200))
def test_any_text_is_a_configuration_or_a_config_error(text: str) -> None:
    try:
        made(text)
    except ConfigError as err:
        assert err.problems
