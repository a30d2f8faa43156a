from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from mlops.errors import DataError, UsageError
from mlops.prediction_log.scored_table import Scoring, add_predictions, resolve_destination
from mlops.task_types.predictions import Predictions

SCORING = Scoring("plums", Path("a.csv"), Path("b.csv"), content="c" * 64, promotion="p" * 32, version="3")


def test_an_id_follows_from_the_content_the_promotion_and_the_row() -> None:
    ids = SCORING.ids(0, 5)
    assert [len(id) for id in ids] == [32] * 5
    assert ids[3:] == SCORING.ids(3, 2)
    assert sorted(set(ids)) == ids
    assert replace(SCORING, source=Path("x"), destination=Path("y")).ids(0, 5) == ids
    assert not set(replace(SCORING, content="d" * 64).ids(0, 5)) & set(ids)
    assert not set(replace(SCORING, promotion="q" * 32).ids(0, 5)) & set(ids)


def test_its_deployment_tells_what_answers() -> None:
    assert SCORING.deployment.startswith("plums-v3-score-")


@pytest.mark.parametrize(
    ("wanted", "source", "file"),
    [
        ("out.parquet", "in/april.csv", "out.parquet"),
        ("scores", "in/april.csv.gz", "scores/april-v3.csv"),
        ("scores/", "in/april.ndjson", "scores/april-v3.jsonl"),
        ("v1.2", "april.parquet", "v1.2/april-v3.parquet"),
    ],
)
def test_a_folder_gets_a_file_named_after_source_and_version(
    tmp_path: Path, wanted: str, source: str, file: str
) -> None:
    (tmp_path / "v1.2").mkdir()
    assert resolve_destination(tmp_path / wanted, tmp_path / source, "3") == tmp_path / file


def test_a_format_that_nobody_writes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"ends in \.parquet"):
        resolve_destination(tmp_path / "out.csv.gz", tmp_path / "april.csv", "3")


def test_the_source_is_no_destination(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="to score"):
        resolve_destination(tmp_path / "in" / ".." / "april.csv", tmp_path / "april.csv", "3")


@pytest.mark.parametrize(
    ("answers", "classes", "columns"),
    [
        (Predictions([True, False], [0.75, 0.25]), [False, True], {"score": [0.75, 0.25]}),
        (
            Predictions(["b", "c"], [[0.0, 1.0, 0.0], [0.25, 0.25, 0.5]]),
            ["a", "b", "c"],
            {"score_a": [0.0, 0.25], "score_b": [1.0, 0.25], "score_c": [0.0, 0.5]},
        ),
        (Predictions([1.5, 2.5]), None, {}),
    ],
)
def test_answers_stand_beside_their_rows(
    answers: Predictions, classes: list[object] | None, columns: dict[str, list[float]]
) -> None:
    scored = add_predictions(pd.DataFrame({"size": [1, 2]}), answers, classes, ids=["i", "j"], version="3")
    assert list(scored) == ["size", "prediction", *columns, "prediction_id", "model_version"]
    assert scored["prediction"].tolist() == answers.values
    for name, values in columns.items():
        assert scored[name].tolist() == values
    assert scored["prediction_id"].tolist() == ["i", "j"]


def test_a_column_is_never_hidden_by_an_answer() -> None:
    with pytest.raises(DataError, match="model_version"):
        add_predictions(
            pd.DataFrame({"model_version": ["2"]}), Predictions([1.0]), None, ids=["i"], version="3"
        )
