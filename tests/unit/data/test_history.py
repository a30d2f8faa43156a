"""Versions as commits and the ledger tell of them, each once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mlops.data.history import Pointed, find, recorded
from mlops.data.versions import Commit, DatasetVersion
from mlops.errors import UsageError
from mlops.ledger.entry import Entry
from mlops.ledger.record import Record
from mlops.ledger.records import DataVersioned, ModelRegistered
from tests.ledger_rows import made

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
A, B, C = (DatasetVersion(letter * 32 + ".dir", files) for letter, files in (("a", 1), ("b", 2), ("c", 3)))


def pointed(version: DatasetVersion, hour: int, *branches: str) -> Pointed:
    commit = Commit(f"sha{hour}", (), NOON + timedelta(hours=hour), f"Add batch {hour}\n\nAt length.")
    return Pointed(version, commit, branches or ("main",))


def entry(kind: type[Record], **facts: object) -> Entry[Record]:
    return Entry("1", made(kind, **facts), NOON)


def test_each_version_is_told_once_by_the_commit_that_brought_it():
    gone_back = [pointed(A, 3), pointed(B, 2), pointed(A, 1)]
    found = recorded(gone_back, [], {A.md5: 100}, A)
    assert [(one.md5, one.commit, one.current) for one in found] == [
        (B.md5, "sha2", False),
        (A.md5, "sha1", True),
    ]
    assert found[1].message == "Add batch 1"
    assert [one.rows for one in found] == [None, 100]


def test_a_version_is_held_by_every_branch_that_ever_named_it():
    found = recorded([pointed(B, 2, "mlops/loop"), pointed(A, 1, "main", "mlops/loop")], [], {}, A)
    assert [one.branches for one in found] == [("mlops/loop",), ("main", "mlops/loop")]


def test_the_ledger_tells_what_came_and_what_was_trained():
    entries = [
        entry(DataVersioned, md5=A.md5, rows=40),
        entry(DataVersioned, md5=A.md5, rows=0),  # the same file again
        entry(ModelRegistered, data_md5=A.md5, version="1"),
        entry(ModelRegistered, data_md5=A.md5, version="3"),
    ]
    [first, second] = recorded([pointed(B, 2), pointed(A, 1)], entries, {}, B)
    assert (second.added, second.models) == (40, ("1", "3"))
    assert (first.added, first.models) == (None, ())


def test_what_no_commit_names_leads_the_list():
    found = recorded([pointed(A, 1)], [], {}, C)
    assert (found[0].md5, found[0].commit, found[0].at) == (C.md5, None, None)
    assert recorded([], [], {}, None) == []


def test_a_version_goes_by_the_beginning_of_its_name():
    assert find("bbbb", [A, B]) == B
    assert find("BBBBB", [A, B]) == B
    assert find("dddd", [A, B]) is None
    assert find("bbb", [A, B]) is None  # too short to be meant


def test_a_beginning_of_several_names_is_refused():
    twin = DatasetVersion("a" * 31 + "b.dir", 1)
    with pytest.raises(UsageError, match="2 versions"):
        find("aaaa", [A, twin, A])
    assert find("a" * 31 + "b", [A, twin]) == twin
