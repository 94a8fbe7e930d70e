"""The lines that keep the guarantees, each with what becomes of it when somebody takes it out.

    python -m tests.crash.mutations            all of them
    python -m tests.crash.mutations NAME ...   some

Each is tried in a copy of the tree: tests must go red there. test_mutations.py does the same as a long test.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]

SWEEP = "tests/crash/test_sweep.py::test_the_daemon_may_die_at_any_point_of"
BESIDE = "tests/crash/test_beside_the_sweep.py"
CANCELLED = "tests/crash/test_cancelled_drops.py"
WITHDRAWING = "tests/unit/test_withdrawing.py"
TIDYING = "tests/contract/test_importer_omero_tidying.py"
PROCESSES = "tests/crash/test_processes.py"
TWO = "tests/crash/test_two_daemons.py"
HOSTILE = "tests/faults/test_hostile.py"
MEMORY = "tests/unit/test_durable_memory.py"
POWER = "tests/crash/test_power_cuts.py::test_the_power_may_fail_at_any_point_of"
ESCAPING = "tests/unit/test_escaping.py"
PRIVACY = "tests/unit/test_privacy.py"
FETCHING = "tests/unit/test_fetching.py"
STORAGE = "tests/faults/test_storage.py"
LOST = "tests/faults/test_lost_events.py"
WRITERS = "tests/faults/test_writers.py::test_what_is_listed_is_imported_whole_or_not_at_all"


@dataclass(frozen=True)
class Mutation:
    """In *file* each key of *edits* (there exactly once) becomes its value; then one of *tests* fails."""

    name: str
    file: str
    edits: dict[str, str]
    tests: tuple[str, ...]


MUTATIONS = (
    Mutation(
        "count after acting",
        "dropwatch/pipeline/crew.py",
        {
            "        desk.write(case, attempts=attempts, not_before=due or desk.now(), attempting=True)\n": (
                "        from dataclasses import replace\n"
                "        case.record = replace(case.record, attempts=attempts, not_before=due or desk.now())\n"
            )
        },
        (
            f"{BESIDE}::test_a_batch_that_kills_the_daemon_each_time_is_given_up_and_told",
            f"{SWEEP}[fresh folder]",
        ),
    ),
    Mutation(
        "do not ask the server",
        "dropwatch/importers/omero.py",
        {"for one in filesets if one.id in stock": "for one in filesets if one.id in ()"},
        (f"{SWEEP}[fresh folder]",),
    ),
    Mutation(
        "retire before the letter",
        "dropwatch/pipeline/steps.py",
        {
            "        desk.letters.outcome(case)\n": "",
            "        case.envelope = case.spool.retire(case.envelope, ruling.place)\n": (
                "        case.envelope = case.spool.retire(case.envelope, ruling.place)\n"
                "        desk.letters.outcome(case)\n"
            ),
        },
        (f"{SWEEP}[fresh folder]",),
    ),
    Mutation(
        "notified before the letter",
        "dropwatch/pipeline/steps.py",
        {
            "        desk.letters.outcome(case)\n": (
                "        desk.write(case, notified=True)\n        desk.letters.outcome(case)\n"
            )
        },
        (f"{SWEEP}[fresh folder]",),
    ),
    Mutation(
        "copy instead of rename",
        "dropwatch/spool/moves.py",
        {
            "        source.rename(target)\n": (
                "        import shutil\n"
                "        (shutil.copytree if source.is_dir() else shutil.copy2)(source, target)\n"
                "        (shutil.rmtree if source.is_dir() else Path.unlink)(source)\n"
            )
        },
        (f"{SWEEP}[fresh folder]",),
    ),
    Mutation(
        "TinyDB's own storage",
        "dropwatch/ledger.py",
        {
            "make=True) as folder, TinyDB(folder, storage=CrashSafe)": (
                "make=True) as folder, TinyDB(folder.path / _RECORD)"
            )
        },
        (f"{BESIDE}::test_a_death_in_the_middle_of_writing_a_record_leaves_the_old_one",),
    ),
    Mutation(
        "ignore the wait",
        "dropwatch/lifecycle.py",
        {"now < facts.not_before": "now < 0.0"},
        (
            "tests/unit/test_lifecycle.py",
            f"{BESIDE}::test_an_attempt_is_not_made_before_its_time_also_not_by_a_new_daemon",
        ),
    ),
    Mutation(
        "attempts without end",
        "dropwatch/lifecycle.py",
        {"facts.attempts >= limits.attempts": "facts.attempts < 0"},
        (f"{BESIDE}::test_a_batch_that_kills_the_daemon_each_time_is_given_up_and_told",),
    ),
    Mutation(
        "no key before the first byte",
        "dropwatch/importers/omero_keys.py",
        {'return f"{_stem(batch, fileset)}{': 'return f"upload/{'},
        (
            f"{BESIDE}::test_the_key_is_in_omero_before_the_first_byte",
            f"{SWEEP}[fresh folder]",
        ),
    ),
    Mutation(
        "do not wait for what the server goes on with",
        "dropwatch/importers/omero_inventory.py",
        {
            "    suspects = {one.id for one in seen if not one.images} - running\n": (
                "    suspects = {one.id for one in seen if not one.images}\n"
            )
        },
        (f"{BESIDE}::test_the_next_daemon_waits_for_an_import_that_the_server_goes_on_with",),
    ),
    Mutation(
        "another batch's import is nobody's business",
        "dropwatch/importers/omero.py",
        {
            "        found |= duplicates.find_running(session, container, order, missing)\n": "",
        },
        (
            "tests/contract/test_importer_omero.py"
            "::test_files_that_the_server_still_imports_for_another_batch_are_waited_for",
            f"{BESIDE}::test_what_is_taken_out_and_dropped_anew_waits_for_the_import_that_goes_on",
        ),
    ),
    Mutation(
        "an import under way is known by its id alone",
        "dropwatch/importers/omero_duplicates.py",
        {
            "    same |= _same(order, left, _by_outline("
            "{id: files for id, files in alike.items() if id in running}))\n": "",
        },
        (
            "tests/contract/test_importer_omero.py"
            "::test_files_that_the_server_still_imports_for_another_batch_are_waited_for",
        ),
    ),
    Mutation(
        "ask while the same files are uploaded for another batch",
        "dropwatch/pipeline/crew.py",
        {"            if any(map(case.resembles, under_way)):\n                continue\n": ""},
        ("tests/faults/test_fairness.py::test_the_same_files_dropped_twice_at_once_are_imported_once",),
    ),
    Mutation(
        "remove leftovers that somebody may still be at",
        "dropwatch/importers/omero_tidying.py",
        {"    alive = inventory.not_over(session, old)\n": "    alive: set[int] = set()\n"},
        (
            f"{TIDYING}::test_half_an_upload_that_nobody_goes_on_with_is_removed",
            f"{TIDYING}::test_what_the_server_still_imports_is_left_and_what_failed_there_is_removed",
        ),
    ),
    Mutation(
        "remove leftovers of batches in work",
        "dropwatch/importers/omero_tidying.py",
        {"left_over(session, before) if one.key[0] not in keep}": "left_over(session, before)}"},
        (f"{TIDYING}::test_half_an_upload_that_nobody_goes_on_with_is_removed",),
    ),
    Mutation(
        "a verified upload is over, whatever its log says",
        "dropwatch/importers/omero_inventory.py",
        {
            "    return alive | {id for id, _ in verified if not says_ended(session, id)}\n": "    return alive\n"
        },
        (f"{TIDYING}::test_what_nobody_can_be_asked_about_is_left_until_its_log_says_that_it_ended",),
    ),
    Mutation(
        "leave what is left of batches that were taken away",
        "dropwatch/pipeline/line.py",
        {"        tidied = self.tidying.turn()\n": "        tidied = FOREVER\n"},
        (
            "tests/faults/test_failing.py"
            "::test_what_a_batch_that_was_taken_away_has_left_in_omero_is_removed_within_a_day",
        ),
    ),
    Mutation(
        "ask while an upload goes on from a folder that was taken away",
        "dropwatch/pipeline/crew.py",
        {"        if self.asking:\n": "        if False:\n"},
        (
            f"{BESIDE}::test_what_is_taken_out_of_an_upload_and_dropped_anew"
            "_is_not_asked_about_before_that_has_ended",
        ),
    ),
    Mutation(
        "record and letter not synced",
        "dropwatch/durable.py",
        {"        file.flush()\n        os.fsync(file.fileno())\n": ""},
        (
            f"{BESIDE}::test_whatever_is_renamed_or_replaced_is_synced_before_and_its_folder_after",
            f"{POWER}[fresh folder-xfs-a commit later]",
        ),
    ),
    Mutation(
        "record not synced",
        "dropwatch/durable_memory.py",
        {"                if durably:\n                    os.fsync(file.fileno())\n": ""},
        (f"{POWER}[fresh folder-xfs-a commit later]",),
    ),
    Mutation(
        "folder of the record not synced",
        "dropwatch/durable_memory.py",
        {"        if durably:\n            self.sync()\n": ""},
        (f"{POWER}[fresh folder-ext4-at once]",),
    ),
    Mutation(
        "last report not synced",
        "dropwatch/pipeline/desk.py",
        {"self._write_report(case, durably=True)": "self._write_report(case, durably=False)"},
        (f"{POWER}[fresh folder-xfs-at once]",),
    ),
    Mutation(
        "lease not synced",
        "dropwatch/spool/lease.py",
        {"        if durably:\n            os.fsync(handle)\n": ""},
        (f"{POWER}[fresh folder-xfs-a commit later]",),
    ),
    Mutation(
        "outcome not synced",
        "dropwatch/ledger.py",
        {
            (
                "            file.write(data)\n"
                "            file.flush()\n"
                "            os.fsync(file.fileno())\n"
            ): "            file.write(data)\n"
        },
        (f"{BESIDE}::test_whatever_is_renamed_or_replaced_is_synced_before_and_its_folder_after",),
    ),
    Mutation(
        "move not synced",
        "dropwatch/spool/moves.py",
        {("    fsync_directory(target.parent)\n    fsync_directory(source.parent)\n"): ""},
        (f"{BESIDE}::test_whatever_is_renamed_or_replaced_is_synced_before_and_its_folder_after",),
    ),
    Mutation(
        "a claim that did not happen goes on",
        "dropwatch/pipeline/adoption.py",
        {"    if not _has_folder(envelope, record):\n": "    if False:\n"},
        (f"{SWEEP}[fresh folder]",),
    ),
    Mutation(
        "cancelled only after the move",
        "dropwatch/pipeline/withdrawing.py",
        {
            "        cancelling.mark(hidden.path, claim)\n": "",
            "    return envelope.batch_folder\n": (
                "    cancelling.mark(envelope.path, claim)\n    return envelope.batch_folder\n"
            ),
        },
        (f"{CANCELLED}::test_the_next_daemon_makes_it_good[folder]",),
    ),
    Mutation(
        "begin what is cancelled",
        "dropwatch/pipeline/adoption.py",
        {"        case.cancelled = True\n": ""},
        (f"{WITHDRAWING}::test_what_was_cancelled_is_so_before_anything_of_it_is_begun",),
    ),
    Mutation(
        "undo what is just being cancelled",
        "dropwatch/pipeline/adoption.py",
        {"if _is_being_cancelled(envelope, desk.now()) or": "if"},
        (
            f"{WITHDRAWING}"
            "::test_an_envelope_that_somebody_is_just_cancelling_into_is_left_alone_for_a_minute",
        ),
    ),
    Mutation(
        "loose files that are another's",
        "dropwatch/pipeline/claims.py",
        {"            loose.begin(spool, envelope, drop.names[0])\n": ""},
        (f"{WITHDRAWING}::test_the_daemon_leaves_loose_files_alone_whose_first_one_was_taken",),
    ),
    Mutation(
        "what is cancelled waits for a sweep",
        "dropwatch/pipeline/line.py",
        {"self.arrivals.rung_at()": "()"},
        (f"{CANCELLED}::test_daemon_and_who_cancels_want_the_same_drop_at_the_same_moment",),
    ),
    Mutation(
        "half a claim is claimed again",
        "dropwatch/pipeline/claims.py",
        {"return any(set(case.record.loose) & set(drop.names) for case in theirs)": "return False"},
        (f"{SWEEP}[loose files with a listing]",),
    ),
    Mutation(
        "a record names any folder",
        "dropwatch/pipeline/adoption.py",
        {'(record.folder if _is_plain_name(record.folder) else "")': "record.folder"},
        ("tests/unit/test_adoption.py",),
    ),
    Mutation(
        "undo what is not ours",
        "dropwatch/spool/folders.py",
        {"        if theirs:\n": "        if False:\n"},
        ("tests/unit/test_spool.py",),
    ),
    Mutation(
        "a move may land on something",
        "dropwatch/spool/moves.py",
        {"    if is_there(target):\n": "    if False:\n"},
        ("tests/unit/test_spool.py",),
    ),
    Mutation(
        "give up without asking after a stop",
        "dropwatch/lifecycle.py",
        {"attempts == 0 and not facts.reached": "attempts == 0"},
        (
            "tests/unit/test_lifecycle.py",
            f"{BESIDE}::test_what_was_cancelled_after_a_stop_but_too_late_is_told_as_imported",
        ),
    ),
    Mutation(
        "letters without the manifest",
        "dropwatch/pipeline/steps.py",
        {
            ("        if case.plan is None:\n            # A restart"): (
                "        if False:\n            # A restart"
            )
        },
        (f"{SWEEP}[listed manifest]",),
    ),
    Mutation(
        "two daemons",
        "dropwatch/spool/locks.py",
        {
            "except BlockingIOError:\n            return False\n": "except BlockingIOError:\n            pass\n"
        },
        (
            f"{BESIDE}::test_a_second_daemon_for_the_same_spool_is_refused",
            f"{TWO}::test_a_second_daemon_of_this_machine_is_refused_also_with_a_state_folder_of_its_own",
        ),
    ),
    Mutation(
        "two daemons on two machines",
        "dropwatch/daemon/tenure.py",
        {
            "            leased_anew = post.lease.take(local=post.local)\n": (
                "            leased_anew, post.leaseless = False, True\n"
            )
        },
        (f"{TWO}::test_the_second_waits_and_says_why_and_takes_over_from_one_that_sleeps",),
    ),
    Mutation(
        "relieve the living",
        "dropwatch/spool/lease.py",
        {"return now - self._seen_since >= self._pace.stale": "return now >= self._seen_since"},
        (
            "tests/unit/test_lease.py::test_who_comes_second_waits_and_is_refused_once_the_first_is_seen_alive",
        ),
    ),
    Mutation(
        "relieve who beats in the last moment",
        "dropwatch/spool/lease.py",
        {"if _read(gone) != holder:": "if _read(gone) == holder and False:"},
        ("tests/unit/test_lease.py::test_a_holder_that_beats_in_the_last_moment_gets_its_lease_back",),
    ),
    Mutation(
        "act without a lease",
        "dropwatch/spool/lease.py",
        {"            if err.errno in (errno.ENOENT, errno.ENOTDIR):\n                return False\n": ""},
        ("tests/unit/test_lease.py::test_a_silent_holder_loses_its_lease_and_stops",),
    ),
    Mutation(
        "workers go on for a spool that is another's",
        "dropwatch/task/workshop.py",
        {"return stopped() or _is_refuted(job.proof)": "return stopped()"},
        ("tests/unit/test_lease.py::test_a_worker_stops_when_the_spool_is_another_daemons",),
    ),
    Mutation(
        "withdrawn by another daemon",
        "dropwatch/pipeline/oversight.py",
        {
            "if not _is_ours(case):\n            return": "if not _is_ours(case) and False:\n            return"
        },
        ("tests/faults/test_returned.py::test_what_another_daemon_may_have_moved_was_not_taken_away",),
    ),
    Mutation(
        "a loose file keeps its old name",
        "dropwatch/spool/loose.py",
        {"            elif _is_same(source, target):\n                source.unlink()\n": ""},
        (
            "tests/unit/test_spool.py::test_a_loose_file_that_a_power_cut_left_under_both_its_names_is_one_file",
        ),
    ),
    Mutation(
        "two asks of one owner",
        "dropwatch/pipeline/crew.py",
        {" or case.owner in owners:": ":"},
        ("tests/faults/test_fairness.py::test_an_owner_is_asked_about_once_at_a_time",),
    ),
    Mutation(
        "a worker outlives its daemon",
        "dropwatch/workers/inside.py",
        {'    threading.Thread(target=_die_with_parent, name="orphan-watch", daemon=True).start()\n': ""},
        ("tests/faults/test_workers.py::test_workers_die_with_their_parent_however_it_dies",),
    ),
    Mutation(
        "a worker does not hold its envelope",
        "dropwatch/task/workshop.py",
        {"got = stack.enter_context(locked(envelope / MEMORY / LOCK, shared=True))": "got = True"},
        (f"{PROCESSES}::test_nobody_acts_on_a_batch_while_a_worker_of_a_dead_daemon_still_lives",),
    ),
    Mutation(
        "suspects side by side",
        "dropwatch/pipeline/crew.py",
        {"if not (case.suspect and alone)]": "]"},
        ("tests/faults/test_suspects.py",),
    ),
    Mutation(
        "a hanging reader is waited for",
        "dropwatch/workers/inside.py",
        {"faulthandler.dump_traceback_later(self._patience, exit=True, file=self._silence)": "pass"},
        ("tests/faults/test_workers.py::test_a_worker_without_progress_ends_itself",),
    ),
    Mutation(
        "memory ahead of the disk",
        "dropwatch/pipeline/desk.py",
        {
            "        self.ledger.write(case.envelope.path, record)\n        case.record = record\n": (
                "        case.record = record\n        self.ledger.write(case.envelope.path, record)\n"
            )
        },
        (f"{STORAGE}::test_an_attempt_that_cannot_be_written_down_is_not_made_and_does_not_count",),
    ),
    Mutation(
        "nobody is told of a full disk",
        "dropwatch/storage.py",
        {"    if number in _FULL:\n": "    if False:\n"},
        (f"{STORAGE}::test_a_spool_that_is_full_in_mid_import_is_told_of_once_and_costs_no_attempt",),
    ),
    Mutation(
        "one look is proof",
        "dropwatch/pipeline/oversight.py",
        {"return now - case.missed >= self.desk.patience(case.spool.root)": "return True"},
        (f"{STORAGE}::test_what_a_share_does_not_show_for_a_moment_is_not_withdrawn",),
    ),
    Mutation(
        "an envelope goes with what came late",
        "dropwatch/spool/moves.py",
        {"    folder.rmdir()\n": "    shutil.rmtree(folder)\n"},
        (
            "tests/unit/test_storage_errors.py::test_an_envelope_is_not_removed_with_what_came_into_it_meanwhile",
        ),
    ),
    Mutation(
        "a try makes files where no share is",
        "dropwatch/durable.py",
        {"            if beside:\n                os.stat(beside, dir_fd=handle)\n": ""},
        ("tests/unit/test_storage_errors.py::test_a_try_makes_nothing_where_the_share_is_not_mounted",),
    ),
    Mutation(
        "what cannot be read is lost",
        "dropwatch/ledger.py",
        {
            'if storage.sort(err, "", "spool") is not None and not isinstance(err, PermissionError)': "if False"
        },
        (f"{STORAGE}::test_a_record_that_cannot_be_read_now_is_not_lost",),
    ),
    Mutation(
        "half files stay",
        "dropwatch/durable_memory.py",
        {"                os.unlink(self._at(part), dir_fd=self._handle)\n": "                pass\n"},
        (f"{STORAGE}::test_what_a_full_disk_cuts_short_leaves_nothing_that_holds_anybody_back",),
    ),
    Mutation(
        "a torn line takes the next one with it",
        "dropwatch/ledger.py",
        {"file.seek(0, os.SEEK_END) and not _ends_whole(file)": "False"},
        (f"{STORAGE}::test_a_line_that_a_full_disk_tore_takes_no_other_with_it",),
    ),
    Mutation(
        "letters from memory are not noted",
        "dropwatch/daemon/mailroom.py",
        {"            self.outbox.note_sent(letter)\n": ""},
        (
            f"{STORAGE}::test_a_full_state_folder_holds_the_letter_and_so_the_batch_and_the_admin_hears_of_it_meanwhile",
        ),
    ),
    Mutation(
        "no letter from memory",
        "dropwatch/daemon/mailroom.py",
        {"            self._hand_over_kept(now)\n": ""},
        (
            f"{STORAGE}::test_a_full_state_folder_holds_the_letter_and_so_the_batch_and_the_admin_hears_of_it_meanwhile",
        ),
    ),
    Mutation(
        "what was sent and not put away is sent again",
        "dropwatch/outbox/delivery.py",
        {"        self._taken.add(letter.id)\n": ""},
        (f"{STORAGE}::test_a_letter_that_was_sent_and_cannot_be_put_away_is_not_sent_again",),
    ),
    Mutation(
        "claims on a full disk",
        "dropwatch/pipeline/claims.py",
        {"        return not full\n": "        return True\n"},
        (f"{STORAGE}::test_nothing_is_claimed_while_the_spool_is_nearly_full",),
    ),
    Mutation(
        "one file of a failing disk holds its batch",
        "dropwatch/task/looking.py",
        {"            look = self._look_again(file, err)\n": "            raise err\n"},
        (f"{STORAGE}::test_a_file_that_cannot_be_read_fails_alone_and_not_the_share",),
    ),
    Mutation(
        "deaf to lost events",
        "dropwatch/watch.py",
        {"                lost()\n": "                pass\n"},
        (f"{LOST}::test_one_users_burst_hides_nobody_elses_batch",),
    ),
    Mutation(
        "count lost events and look nowhere",
        "dropwatch/pipeline/arrivals.py",
        {"            if inbox[0] == spool:\n                self.due[inbox] = 0.0\n": "            pass\n"},
        (f"{LOST}::test_one_users_burst_hides_nobody_elses_batch",),
    ),
    Mutation(
        "hear the bell and stay",
        "dropwatch/pipeline/arrivals.py",
        {"                self.due[spool, user] = 0.0\n": "                pass\n"},
        (WRITERS,),
    ),
    Mutation(
        "watch a folder that is gone",
        "dropwatch/watch.py",
        {"(inbox, _inode(inbox))": "(inbox, 0)"},
        (f"{LOST}::test_an_inbox_that_was_removed_and_made_anew_is_watched_again",),
    ),
    Mutation(
        "always begin with the same user",
        "dropwatch/pipeline/arrivals.py",
        {"                self.due[inbox] = self.due.pop(inbox)": "                pass"},
        (f"{LOST}::test_a_user_with_hundreds_of_drops_does_not_keep_another_from_being_claimed",),
    ),
    Mutation(
        "wait for a spool that was given up",
        "dropwatch/pipeline/arrivals.py",
        {"(self.due, self.waiting, self.lacking)": "(self.due,)"},
        (f"{LOST}::test_what_waits_in_a_spool_that_is_given_up_does_not_keep_the_daemon_busy",),
    ),
    Mutation(
        "read each loose manifest at each look",
        "dropwatch/pipeline/sightings.py",
        {"old if old and old.fact == fact else": "old if False and old else"},
        (f"{LOST}::test_a_look_lists_an_inbox_once_however_many_files_lie_loose_in_it",),
    ),
    Mutation(
        "look into done",
        "dropwatch/pipeline/line.py",
        {
            "list(spool.envelopes(user, Place.PROCESSING, but=self.desk.cases))": (
                "[one for place in Place for one in spool.envelopes(user, place) if place is Place.PROCESSING]"
            )
        },
        ("tests/faults/test_idle.py",),
    ),
    Mutation(
        "do not compare sizes",
        "dropwatch/pipeline/sightings.py",
        {"sizes[present] != file.size": "False"},
        (WRITERS,),
    ),
    Mutation(
        "do not compare checksums",
        "dropwatch/importers/reading.py",
        {"found != wanted.lower()": "found is None"},
        (WRITERS,),
    ),
    Mutation(
        "a different checksum is final",
        "dropwatch/pipeline/crew.py",
        {' and not (error.code == "checksum-listed" and attempt == 1)': ""},
        ("tests/faults/test_writers.py::test_a_writer_that_no_lease_tells_of_goes_on_through_the_claim",),
    ),
    Mutation(
        "do not ask for the lease",
        "dropwatch/spool/tree.py",
        {"        return err.errno == errno.EAGAIN\n": "        return False\n"},
        (WRITERS,),
    ),
    Mutation(
        "read a manifest that is being written",
        "dropwatch/task/planning.py",
        {"writing=(*self.held, *(": "writing=(*(), *("},
        (WRITERS,),
    ),
    Mutation(
        "give a copy its name before it was compared",
        "dropwatch/task/one_copy.py",
        {"                self._verify(making.file.fileno(), file, read.hexdigest())\n": ""},
        (f"{FETCHING}::test_a_copy_that_reads_differently_gets_no_name",),
    ),
    Mutation(
        "do not look whether the original changed while it was copied",
        "dropwatch/task/one_copy.py",
        {
            "                self._check(original, file)\n                self._verify": "                self._verify"
        },
        (f"{FETCHING}::test_a_file_that_changes_while_it_is_copied_is_copied_again",),
    ),
    Mutation(
        "do not look again at what there is when all is copied",
        "dropwatch/task/fetching.py",
        {"        if self._select() != selection:\n": "        if False:\n"},
        (f"{FETCHING}::test_a_file_that_comes_while_others_are_copied_is_fetched_too",),
    ),
    Mutation(
        "copy under the final name",
        "dropwatch/spool/fetched.py",
        {
            "if begun else folder.new(_PART)\n": "if begun else folder.new(name)\n",
            "        with suppress(FileNotFoundError):\n            folder.look(name)": (
                "        with suppress(FileNotFoundError):\n            folder.look(name + '-')"
            ),
            "        folder.rename(_PART, name)\n": "",
        },
        (f"{SWEEP}[fetched from a place]",),
    ),
    Mutation(
        "leave what a crash left half copied",
        "dropwatch/task/fetching.py",
        {"        self.copies.clear_out(have, begun.values())\n": ""},
        (f"{FETCHING}::test_what_a_crash_left_half_copied_is_removed_and_made_anew",),
    ),
    Mutation(
        "go on with a copy without a look at what is there of it",
        "dropwatch/task/one_copy.py",
        {"        if read.hexdigest() != begun.sha256:\n": "        if False:\n"},
        (f"{FETCHING}::test_what_is_not_as_it_was_is_not_gone_on_with",),
    ),
    Mutation(
        "go on with the copy of another file",
        "dropwatch/task/fetching.py",
        {"begun.file == file and self.copies": "self.copies"},
        (f"{FETCHING}::test_what_is_not_as_it_was_is_not_gone_on_with",),
    ),
    Mutation(
        "do not ask who may use a place",
        "dropwatch/task/workshop.py",
        {"            self._check_use(source, job.order)\n": ""},
        ("tests/faults/test_from_places.py::test_what_cannot_be_fetched_fails_at_once_in_words",),
    ),
    Mutation(
        "keep the copies of what was imported",
        "dropwatch/pipeline/steps.py",
        {"ruling is None or self.fetches.clear(case)": "ruling is None"},
        (
            "tests/faults/test_from_places.py::test_files_and_folders_are_fetched_imported_and_the_copies_removed",
        ),
    ),
    Mutation(
        "begin a fetch without writing it down",
        "dropwatch/pipeline/fetches.py",
        {"        self.desk.write(case, fetching=case.record.fetching + 1)\n": ""},
        (f"{BESIDE}::test_a_fetch_that_kills_the_daemon_each_time_is_given_up_and_told",),
    ),
    Mutation(
        "follow links in a place",
        "dropwatch/places/entering.py",
        {"step_into(name, here.handle))": "os.open(name, _FOLDER, dir_fd=here.handle))"},
        ("tests/unit/test_places.py::test_a_link_that_comes_in_place_of_a_folder_leads_nowhere",),
    ),
    Mutation(
        "fetch for a batch that was cancelled",
        "dropwatch/lifecycle.py",
        {"        if given_up and not facts.fetched and not facts.reached:\n": "        if False:\n"},
        ("tests/unit/test_lifecycle.py",),
    ),
    Mutation(
        "take temporary names for files",
        "dropwatch/litter.py",
        {
            "    return _TEMPORARY.match(name) is not None and _ZARR.match(name) is None\n": "    return False\n"
        },
        (WRITERS,),
    ),
    Mutation(
        "believe a list that may be cut",
        "dropwatch/settling.py",
        {"return sight.whole and bool(listed)": "return bool(listed)"},
        ("tests/unit/test_settling.py",),
    ),
    Mutation(
        "start without the manifest",
        "dropwatch/settling.py",
        {"elif rules.manifest_only and not sight.manifest:": "elif False:"},
        (WRITERS,),
    ),
    Mutation(
        "a link leads out of an envelope",
        "dropwatch/durable_steps.py",
        {"os.open(name, _FOLDER | _NO_FOLLOW, dir_fd=folder)": "os.open(name, _FOLDER, dir_fd=folder)"},
        (
            f"{MEMORY}::test_our_folder_may_not_be_somebody_elses",
            f"{HOSTILE}::test_a_link_that_is_swapped_in_again_and_again_leads_to_no_secret[folder below]",
        ),
    ),
    Mutation(
        "a link is followed at the end of a path",
        "dropwatch/durable_steps.py",
        {"PLAIN = (\n    _NO_FOLLOW\n": "PLAIN = (\n    0\n"},
        (f"{MEMORY}::test_what_stands_where_we_write_is_put_aside",),
    ),
    Mutation(
        "somebody waits at a pipe",
        "dropwatch/durable_steps.py",
        {'    | getattr(os, "O_NONBLOCK", 0)\n': ""},
        (f"{MEMORY}::test_what_cannot_be_a_record_of_ours_is_as_good_as_lost[pipe]",),
    ),
    Mutation(
        "a file with a second name is written",
        "dropwatch/durable_memory.py",
        {"                if os.fstat(handle).st_nlink == 1:\n": "                if True:\n"},
        (f"{MEMORY}::test_what_stands_where_we_write_is_put_aside",),
    ),
    Mutation(
        "a hard link to somebody else's file",
        "dropwatch/spool/tree.py",
        {"    return info.st_nlink > 1 and info.st_uid != owner and": "    return info is None and"},
        (f"{HOSTILE}::test_nothing_of_a_secret_leaves_its_file",),
    ),
    Mutation(
        "a hard link in place of a planned file",
        "dropwatch/importers/reading.py",
        {"    if theirs and": "    if False and"},
        (f"{HOSTILE}::test_a_link_that_is_swapped_in_again_and_again_leads_to_no_secret[file]",),
    ),
    Mutation(
        "folders without end",
        "dropwatch/spool/tree.py",
        {"        if depth > _DEEPEST:\n": "        if False:\n"},
        (f"{HOSTILE}::test_a_thing_in_a_batch_is_told_and_the_rest_imported",),
    ),
    Mutation(
        "no fence around Bio-Formats",
        "dropwatch/formats/fence.py",
        {"libc.syscall(_RESTRICT_SELF, ctypes.c_int(rules), 0) == 0": "True"},
        ("tests/unit/test_formats.py::test_nothing_outside_of_the_folder_is_opened_whatever_leads_there",),
    ),
    Mutation(
        "planned for ever",
        "dropwatch/lifecycle.py",
        {"        if facts.hopeless and facts.asked:\n": "        if False:\n"},
        (f"{HOSTILE}::test_a_lock_that_somebody_holds_alone_uses_up_the_attempts",),
    ),
    Mutation(
        "a lock held for ever is told to nobody",
        "dropwatch/pipeline/steps.py",
        {"            self._tell_if_stuck(case)\n            return\n": "            return\n"},
        (f"{HOSTILE}::test_a_lock_that_somebody_holds_is_told_to_the_admins",),
    ),
    Mutation(
        "trust the inodes of a share",
        "dropwatch/pipeline/sightings.py",
        {"            snap = snap.without_inodes()": "            pass"},
        (
            "tests/unit/test_settling.py::test_a_share_that_makes_inodes_up_does_not_keep_a_drop_from_settling",
        ),
    ),
    Mutation(
        "ask a share that hangs again and again",
        "dropwatch/spool/knock.py",
        {"        if self._answered is None:\n": "        if True:\n"},
        ("tests/unit/test_knock.py::test_a_share_that_hangs_is_asked_once_and_nobody_waits_for_it_twice",),
    ),
    Mutation(
        "names as they are",
        "dropwatch/report/words.py",
        {'    return "".join(map(_visible, text))\n': "    return text\n"},
        (f"{ESCAPING}::test_shown_text_is_one_line_that_does_nothing",),
    ),
    Mutation(
        "a remedy that is quoted for the eye",
        "dropwatch/spool/moves.py",
        {"{shlex.quote(str(source))}": "{source}"},
        (f"{ESCAPING}::test_a_command_in_a_remedy_takes_a_name_as_one_word",),
    ),
    Mutation(
        "workers log as they like",
        "dropwatch/workers/inside.py",
        {"    log_to_stderr()  # what": "    pass  # what"},
        ("tests/faults/test_workers.py::test_what_is_said_in_a_worker_is_a_line_of_the_log",),
    ),
    Mutation(
        "letters as the umask leaves them",
        "dropwatch/durable.py",
        {"mode: int = 0o600": "mode: int = 0o666"},
        (f"{PRIVACY}::test_what_the_daemon_keeps_is_open_to_its_account_alone",),
    ),
    Mutation(
        "a spool in which anybody makes drop folders",
        "dropwatch/spool/permissions.py",
        {"        root.chmod(mode & ~_WRITE)\n": ""},
        (f"{PRIVACY}::test_a_spool_that_others_may_write_is_found_and_closed",),
    ),
)


def red_tests(mutation: Mutation) -> dict[str, str]:
    """The tests that fail with *mutation*, and why. Raises ValueError when a line to edit is not there once."""
    with tempfile.TemporaryDirectory(prefix="dropwatch-mutation-") as folder:
        copy = Path(folder)
        for name in ("dropwatch", "tests"):
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        for name in ("pyproject.toml", "README.md"):
            shutil.copy2(ROOT / name, copy / name)
        _edit(copy / mutation.file, mutation)
        reasons = {test: _reason(copy, test) for test in mutation.tests}
        return {test: reason for test, reason in reasons.items() if reason}


def _edit(file: Path, mutation: Mutation) -> None:
    text = file.read_text("utf-8")
    for old, new in mutation.edits.items():
        if text.count(old) != 1:
            raise ValueError(f"{mutation.name}: {old!r} is in {mutation.file} {text.count(old)} times")
        text = text.replace(old, new)
    file.write_text(text, "utf-8")


def stale(mutation: Mutation) -> list[str]:
    """The lines of *mutation* that are not there once, so that it can be tried no more."""
    text = (ROOT / mutation.file).read_text("utf-8")
    return [old for old in mutation.edits if text.count(old) != 1]


def _reason(copy: Path, test: str) -> str:
    """Why *test* fails in *copy*; empty when it passes. Raises ValueError when it cannot be run."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    # The copy's modules come first.
    environment = {**os.environ, "PYTHONPATH": str(copy)}
    done = subprocess.run(
        command, cwd=copy, env=environment, capture_output=True, text=True, timeout=600, check=False
    )
    if done.returncode not in (0, 1):
        raise ValueError(f"{test}: pytest ended with {done.returncode}\n{done.stdout}{done.stderr}")
    told = [line.removeprefix("E ").strip() for line in done.stdout.splitlines() if line.startswith("E  ")]
    return (told or ["it failed"])[0] if done.returncode else ""


def main() -> int:
    missed = 0
    for mutation in MUTATIONS:
        if sys.argv[1:] and mutation.name not in sys.argv[1:]:
            continue
        red = red_tests(mutation)
        missed += not red
        print(f"{mutation.name}: {'red' if red else 'NO TEST IS RED'}", flush=True)
        for test, reason in red.items():
            print(f"    {test.rpartition('::')[2]}: {reason}", flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
