"""The lines that keep readers from failing, each with what becomes of it when somebody takes it out.

    python -m tests.fuzz.guards

test_guards.py does the same as a long test; tests/crash/mutations.py has how.
"""

from __future__ import annotations

from tests.crash.mutations import Mutation, red_tests

HERE = "tests/fuzz/test_hostile_inputs.py"

GUARDS = (
    Mutation(
        "JSON of any depth",
        "dropwatch/document/__init__.py",
        {"    _check_extent(value)\n": ""},
        (f"{HERE}::test_json_may_be_nested_as_deeply_as_yaml_and_no_deeper",),
    ),
    Mutation(
        "no end to recursion",
        "dropwatch/document/__init__.py",
        {"except (ValueError, RecursionError):": "except ValueError:"},
        (f"{HERE}::test_a_mebibyte_of_anything_is_read_or_refused_in_seconds[braces]",),
    ),
    Mutation(
        "YAML of any depth",
        "dropwatch/document/__init__.py",
        {"if len(path) >= DEPTH:": "if len(path) >= 10**9:"},
        (f"{HERE}::test_a_mebibyte_of_anything_is_read_or_refused_in_seconds[dashes]",),
    ),
    Mutation(
        "targets of any length",
        "dropwatch/manifest/target.py",
        {"len(text) > 4 * LONGEST": "len(text) > 40_000"},
        (f"{HERE}::test_a_target_of_blanks_takes_no_time",),
    ),
    Mutation(
        "half characters",
        "dropwatch/manifest/target.py",
        {"    proper(text)\n": ""},
        (f"{HERE}::test_half_a_character_in_a_target_is_refused",),
    ),
    Mutation(
        "lists checked whole",
        "dropwatch/document/section.py",
        {"len(value) <= _PART": "len(value) <= 10**9"},
        (f"{HERE}::test_a_million_wrong_entries_are_not_told_one_by_one",),
    ),
    Mutation(
        "any number in a record",
        "dropwatch/ledger.py",
        {"if not 0 <= value <= most:": "if not True:"},
        (f"{HERE}::test_a_forged_number_in_a_record_makes_it_lost_and_status_goes_on",),
    ),
    Mutation(
        "any text in a record",
        "dropwatch/ledger.py",
        {"if hint is str and _NO_TEXT.search(value):": "if False:"},
        (f"{HERE}::test_half_a_character_in_a_record_makes_it_lost",),
    ),
    Mutation(
        "any name in a record",
        "dropwatch/pipeline/adoption.py",
        {"    name = name if _is_plain_name(name) else returned.folder\n": ""},
        (f"{HERE}::test_a_forged_name_in_a_record_never_becomes_part_of_a_path",),
    ),
    Mutation(
        "any heartbeat",
        "dropwatch/status/presence.py",
        {"heartbeat(read_heartbeat(state))": "read_heartbeat(state)"},
        (f"{HERE}::test_status_works_whatever_stands_in_the_heartbeat",),
    ),
    Mutation(
        "pages without end",
        "dropwatch/formats/tiff.py",
        {"if self.left < 0:": "if False:"},
        (f"{HERE}::test_a_tiff_of_loops_is_left_in_no_time",),
    ),
    Mutation(
        "files of any name in the configuration",
        "dropwatch/config/values.py",
        {
            "    if isinstance(name, str):\n        if CONTROL.search(name):\n": (
                "    if isinstance(name, str):\n        if False:\n"
            )
        },
        (f"{HERE}::test_no_file_can_be_called_so",),
    ),
)


if __name__ == "__main__":
    for guard in GUARDS:
        print(f"{guard.name}: {red_tests(guard) or 'NO TEST IS RED'}", flush=True)
