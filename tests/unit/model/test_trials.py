from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from mlops.model.trials import Journal, Trial, best, from_csv, to_csv

TRIALS = [
    Trial(1, "failed", {"rate": 0.5, "kind": "x"}, (0.1,), 'said "no", and\nmore'),
    Trial(2, "complete", {"rate": 0.25, "kind": "y"}, (0.5, 0.75)),
    Trial(3, "pruned", {"rate": 0.125, "kind": None}, (0.5,)),
    Trial(4, "complete", {"rate": 0.0625, "kind": "z"}, (0.75, 0.5)),
]


def test_the_best_is_the_first_complete_one_of_the_lowest_loss() -> None:
    assert best(TRIALS) is TRIALS[1]
    assert best([TRIALS[0], TRIALS[2]]) is None


def test_a_table_has_a_column_per_parameter_and_the_best_so_far() -> None:
    lines = to_csv(TRIALS[1:]).decode().splitlines()

    assert lines[0] == "trial,state,loss,best,folds,error,params.rate,params.kind"
    assert lines[1:] == [
        "2,complete,0.625,0.625,0.5 0.75,,0.25,y",
        "3,pruned,0.5,0.625,0.5,,0.125,",
        "4,complete,0.625,0.625,0.75 0.5,,0.0625,z",
    ]


def test_a_search_that_nobody_asked_for_is_a_header() -> None:
    assert to_csv([]) == b"trial,state,loss,best,folds,error\n"
    assert from_csv(to_csv([])) == []


@given(
    st.lists(
        st.builds(
            Trial,
            st.integers(1, 99),
            st.sampled_from(["complete", "pruned", "failed"]),
            st.fixed_dictionaries({"rate": st.floats(allow_nan=False).map(str), "kind": st.just("a,\nb")}),
            st.lists(st.floats(0, 9), min_size=1, max_size=3).map(tuple),
            st.sampled_from(["", 'a "quoted" word']),
        ),
        max_size=4,
    )
)
def test_a_table_reads_back(trials: list[Trial]) -> None:
    assert from_csv(to_csv(trials)) == trials


def test_a_journal_forgets_the_line_that_a_kill_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "search" / "one.jsonl"
    journal = Journal(file)
    assert journal.read() == []
    for trial in TRIALS[:2]:
        journal.add(trial, seconds=1.5)
    with file.open("ab") as torn:
        torn.write(b'{"number": 3, "sta')

    assert journal.read() == [(TRIALS[0], 1.5), (TRIALS[1], 1.5)]
    journal.add(TRIALS[2], seconds=2.0)
    assert Journal(file).read() == [(TRIALS[0], 1.5), (TRIALS[1], 1.5), (TRIALS[2], 2.0)]
