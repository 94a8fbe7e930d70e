"""`user sync`: who has a drop folder, who should, and whose cannot be made. Values only."""

from __future__ import annotations

from typing import Any

import pytest

from dropwatch import config as configuration
from dropwatch.cli.roster import Row, Standing, compare
from dropwatch.config import Config
from dropwatch.errors import OperatorError
from dropwatch.importers.base import Account


def config(text: str = "") -> Config:
    base = """
        spools: [{path: /srv/dropwatch}]
        state: /var/lib/dropwatch
        omero: {host: omero.example.org, user: dropwatch}
        mail: {host: smtp.example.org, from: dropwatch@example.org, admins: [it@example.org]}
        """
    lines = "\n".join(line.strip() for line in base.splitlines())
    return configuration.parse(f"{lines}\n{text}", source="/etc/dropwatch.yaml", read=lambda name: "")


def person(name: str, email: str | None = "x@example.org", *groups: str) -> Account:
    return Account(name, email, True, groups or ("lab-a",), "lab-a")


def look_up(name: str) -> Account:
    if name == "mallory":
        return Account(name, None, False, ("lab-a",), "lab-a")
    if name == "admin":
        return Account(name, None, True, (), "")
    raise OperatorError(f"OMERO knows nobody called {name}.", concerns="user")


def rows(accounts: list[Account], folders: list[str], *, text: str = "", **more: Any) -> list[Row]:
    told: dict[str, Any] = {"elsewhere": {}, "group": None, "look_up": look_up, **more}
    return compare(config(text), accounts, folders, **told)


def test_who_has_no_drop_folder_gets_one() -> None:
    found = rows([person("alice"), person("bob")], ["bob"])

    assert [(row.standing, row.folder) for row in found] == [
        (Standing.TO_MAKE, "alice"),
        (Standing.THERE, "bob"),
    ]


def test_the_configuration_says_which_folder_is_whose() -> None:
    text = "users: {anna: {omero: alice, email: anna@example.org}, ben: {omero: bob}}"
    found = rows([person("alice", None), person("bob")], ["anna"], text=text)

    assert found == [
        Row(Standing.THERE, "anna", "alice", "anna@example.org"),
        Row(Standing.TO_MAKE, "ben", "bob", "x@example.org"),
    ]


def test_folders_of_strangers_are_told_with_the_reason_and_instruments_are_none() -> None:
    text = "instruments: {confocal1: {may_import_for: [alice]}}"
    found = rows([person("alice")], ["admin", "alice", "confocal1", "mallory", "zoe"], text=text)

    assert [(row.folder, row.remark) for row in found if row.standing is Standing.STRANGER] == [
        ("admin", "has no group to import into"),
        ("mallory", "the account is not active"),
        ("zoe", "OMERO knows nobody called zoe."),
    ]


@pytest.mark.parametrize(
    "name", ["a/b", "CN=Alice, OU=Lab", ".hidden", "x.part", "a:b", "who?", "lost+found"]
)
def test_a_name_that_no_folder_can_have_is_told_and_not_made(name: str) -> None:
    (row,) = rows([person(name)], [])

    if name == "CN=Alice, OU=Lab":  # odd, and allowed
        assert row.standing is Standing.TO_MAKE
    else:
        assert row.standing is Standing.NO_NAME and "cannot be the name of a drop folder" in row.remark


def test_a_folder_in_other_letters_is_told_with_the_remedy() -> None:
    taken, stranger = rows([person("Zoë")], ["zoe\u0308"])

    assert taken.standing is Standing.NO_NAME
    assert "users: {zoe\u0308: {omero: Zoë}}" in taken.remark
    assert stranger.standing is Standing.STRANGER


def test_only_members_of_a_group_where_one_is_named() -> None:
    found = rows([person("alice"), person("bob", "x@example.org", "lab-b")], ["bob"], group="lab-a")

    assert [row.folder for row in found] == ["alice"]


def test_who_cannot_be_mailed_is_told_where_mail_is_sent_at_all() -> None:
    (row,) = rows([person("dave", None)], [])
    (quiet,) = compare(
        config().model_copy(update={"mail": None}), [person("dave", None)], [], {}, None, look_up
    )

    assert row.standing is Standing.TO_MAKE and "no e-mail address" in row.remark
    assert quiet.remark == ""


def test_who_drops_into_another_spool_of_the_site_gets_no_second_folder() -> None:
    (row,) = rows([person("alice")], [], elsewhere={"Alice": "/srv/other"})

    assert (row.standing, row.folder, row.remark) == (Standing.ELSEWHERE, "Alice", "in the spool /srv/other")
