from __future__ import annotations

import pytest

from mlops.data.versions import DatasetVersion, Merged, merge, place, raw_folder, read_pointer
from mlops.errors import ConflictError, DataError


def test_a_pointer_to_a_folder_names_its_bytes() -> None:
    text = "outs:\n- md5: 0c8a759d.dir\n  size: 3\n  nfiles: 2\n  hash: md5\n  path: lake\n"
    assert read_pointer(text, commit="abc") == DatasetVersion("0c8a759d.dir", files=2, commit="abc")


def test_a_pointer_to_a_file_names_one() -> None:
    assert read_pointer("outs:\n- md5: 0c8a\n  path: table.csv\n").files == 1


@pytest.mark.parametrize("text", ["", "outs: []", "outs:\n- path: lake\n", "<<<<<<< HEAD\nouts:\n", "[1"])
def test_what_is_no_pointer_says_what_to_do(text: str) -> None:
    with pytest.raises(DataError, match="dvc add"):
        read_pointer(text)


JANUARY, FEBRUARY = {"2026-01/000001-aa.parquet": "a"}, {"2026-02/000002-bb.parquet": "b"}
SERVED = {"2026-03/000003-cc.parquet": "c"}


class TestMerge:
    def test_what_either_side_added_is_there(self) -> None:
        merged = merge(JANUARY | SERVED, JANUARY | FEBRUARY, JANUARY, "data/lake")
        assert merged == Merged(added=FEBRUARY, removed=())

    def test_what_the_other_let_go_of_goes_here_too(self) -> None:
        merged = merge(JANUARY | FEBRUARY | SERVED, JANUARY, JANUARY | FEBRUARY, "data/lake")
        assert merged == Merged(added={}, removed=tuple(FEBRUARY))

    def test_it_goes_under_whichever_name_it_has_here(self) -> None:
        ours = {"2026-02/000009-bb.parquet": "b"}
        merged = merge(JANUARY | ours, JANUARY, JANUARY | FEBRUARY, "data/lake")
        assert merged == Merged(added={}, removed=tuple(ours))

    def test_without_a_common_beginning_nothing_goes(self) -> None:
        assert merge(JANUARY | FEBRUARY, JANUARY, {}, "data/lake") == Merged({}, ())

    def test_what_is_taken_back_in_comes_back(self) -> None:
        assert merge(JANUARY, JANUARY | FEBRUARY, JANUARY, "data/lake").added == FEBRUARY

    def test_the_same_bytes_in_one_place_are_one_file(self) -> None:
        ours, theirs = {f"{raw_folder(1, 'f' * 64)}/a.csv": "a"}, {f"{raw_folder(7, 'f' * 64)}/a.csv": "a"}
        assert merge(ours, theirs, {}, "data/raw") == Merged({}, ())
        assert place(next(iter(ours))) == "f" * 16

    def test_one_name_with_two_contents_is_refused(self) -> None:
        with pytest.raises(ConflictError, match=r"data/lake/2026-01/000001-aa\.parquet differs"):
            merge(JANUARY, dict.fromkeys(JANUARY, "z"), {}, "data/lake")
