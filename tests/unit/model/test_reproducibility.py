from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from mlops.model import bundle
from mlops.model.bundle import Bundle, to_json
from mlops.model.reproducibility import (
    PredictionDifference,
    Reproduction,
    compare_predictions,
    differences,
    judge,
)
from mlops.task_types.predictions import Predictions

LINEAGE: dict[str, Any] = {
    "data": "a" * 32 + ".dir",
    "params": {
        "data": {"features": {"size": "number"}},
        "model": {"builder": "models/plums/model.py", "params": {"depth": 3}, "seed": 7},
        "train": {"window": "13d"},
    },
    "module": "1" * 64,
    "lock": "2" * 64,
}
VERSIONS = {"numpy": "2.3.0", "python": "3.11", "scikit-learn": "1.9.1"}
SAME = PredictionDifference(200, 0, 0.0)
OTHER = PredictionDifference(200, 12, 0.25)


@pytest.fixture
def made(tmp_path: Path) -> Any:
    """Makes a bundle, of the usual inputs but for those that are given."""
    count = 0

    def make(model: bytes = b"model", versions: dict[str, str] | None = None, **lineage: Any) -> Bundle:
        nonlocal count
        count += 1
        info = {"task": "binary", "classes": [False, True], "prior": [0.5, 0.5], "compiled": True}
        files = {
            "model.onnx": model,
            "model.json": to_json({**info, "versions": versions or VERSIONS}),
            "lineage.json": to_json({**LINEAGE, **lineage}),
        }
        return bundle.write(tmp_path / str(count), files)

    return make


def params(section: str, **keys: Any) -> dict[str, Any]:
    held = LINEAGE["params"]
    return {**held, section: {**held[section], **keys}}


def judged(
    registered: Bundle, rebuilt: Bundle, answered: PredictionDifference | None, **unlocked: Any
) -> Reproduction:
    return judge(registered, rebuilt, list(differences(registered, rebuilt, unlocked=unlocked)), answered)


def test_the_same_bytes_are_the_same_model(made: Any) -> None:
    result = judged(made(), made(), None)
    assert (result.outcome, result.identical, result.differences) == ("bytes", True, ())
    assert result.digest[:12] in result.sentence


def test_other_bytes_that_answer_alike_are_the_same_and_it_says_which_file_differs(made: Any) -> None:
    result = judged(made(), made(model=b"other bytes"), SAME)
    assert (result.outcome, result.identical) == ("predictions", True)
    assert "all 200 held-out rows" in result.sentence
    assert "(model.onnx)" in result.sentence


@pytest.mark.parametrize(
    "answered", [OTHER, None, PredictionDifference(0, 0, 0.0)], ids=["others", "none", "no rows"]
)
def test_other_bytes_are_another_model_unless_all_answers_are_the_same(made: Any, answered: Any) -> None:
    assert not judged(made(), made(model=b"other"), answered).identical


def test_a_model_that_differs_without_an_input_that_does_is_told_with_how_far(made: Any) -> None:
    result = judged(made(), made(model=b"other"), OTHER)
    assert result.outcome == "unexplained"
    assert "every recorded input is the same" in result.sentence
    assert "12 of 200 held-out rows are predicted differently, by 0.25 at most" in result.sentence


@pytest.mark.parametrize(
    ("now", "named"),
    [
        ({"data": "b" * 32 + ".dir"}, "the data (data/lake)"),
        (
            {"params": params("model", params={"depth": 6})},
            "model.params.depth of params.yaml was 3 and is 6",
        ),
        ({"params": params("model", params={})}, "model.params.depth of params.yaml was 3 and is not set"),
        ({"params": params("train", gap="1d")}, "train.gap of params.yaml was not set and is 1d"),
        ({"module": "3" * 64}, "models/plums/model.py was 111111111111 and is 333333333333"),
        ({"lock": "3" * 64}, "requirements.lock"),
        ({"versions": {**VERSIONS, "numpy": "2.4.0"}}, "numpy was 2.3.0 (model.json) and is 2.4.0"),
        ({"versions": {**VERSIONS, "python": "3.12"}}, "python was 3.11 (model.json) and is 3.12"),
    ],
)
def test_an_input_that_differs_is_named(made: Any, now: dict[str, Any], named: str) -> None:
    result = judged(made(), made(model=b"other", **now), OTHER)
    assert result.outcome == "inputs"
    assert result.sentence.startswith("Different: ")
    assert named in result.sentence
    assert len(result.differences) == 1


def test_the_first_input_is_the_one_that_takes_effect_first(made: Any) -> None:
    order = {
        "data": "b" * 32 + ".dir",
        "params": params("model", params={"depth": 6}),
        "module": "3" * 64,
        "lock": "4" * 64,
        "versions": {**VERSIONS, "numpy": "2.4.0", "python": "3.12", "scipy": "1.17"},
    }
    found = differences(made(), made(**order), unlocked={"scipy": ("1.16", "1.17")})
    assert [one.what.split()[0] for one in found] == [
        "the",
        "model.params.depth",
        "models/plums/model.py",
        "requirements.lock",
        "numpy",
        "python",
        "scipy",
    ]


def test_a_package_that_is_as_it_was_in_training_is_no_difference_however_it_is_locked(made: Any) -> None:
    unlocked = {"alembic": ("1.16", "1.17"), "numpy": ("2.2.0", "2.3.0")}
    assert list(differences(made(), made(model=b"other"), unlocked=unlocked)) == []


def test_a_package_that_changed_since_is_told_as_it_was_in_training(made: Any) -> None:
    now = made(model=b"other", versions={**VERSIONS, "numpy": "2.4.0"})
    [found] = differences(made(), now, unlocked={"numpy": ("2.2.0", "2.4.0")})
    assert str(found) == "numpy was 2.3.0 (model.json) and is 2.4.0"


def test_for_a_package_that_an_older_bundle_does_not_tell_of_the_lock_speaks(made: Any) -> None:
    before = {name: version for name, version in VERSIONS.items() if name not in ("python", "numpy")}
    old = made(versions=before)
    assert list(differences(old, made(), unlocked={})) == []
    [found] = differences(old, made(), unlocked={"numpy": ("2.2.0", "2.3.0"), "ruff": ("0.1", "0.2")})
    assert str(found) == "numpy was 2.2.0 (requirements.lock) and is 2.3.0 (installed)"


def test_other_data_is_another_model_even_where_both_answer_its_rows_alike(made: Any) -> None:
    result = judged(made(), made(data="b" * 32 + ".dir"), SAME)
    assert (result.outcome, result.identical) == ("inputs", False)
    assert "cannot be compared" in result.sentence


def test_it_survives_json(made: Any) -> None:
    told = judged(made(), made(model=b"other", lock="3" * 64), OTHER).to_dict()
    assert told["differences"] == [{"what": "requirements.lock", "was": "2" * 12, "now": "3" * 12}]
    assert told["predictions"] == {"rows": 200, "differing": 12, "largest": 0.25}
    assert to_json(told)


@pytest.mark.parametrize(
    ("one", "other", "differing", "largest"),
    [
        (Predictions([True, False], [0.9, 0.2]), Predictions([True, False], [0.9, 0.2]), 0, 0.0),
        (Predictions([True, False], [0.9, 0.2]), Predictions([True, False], [0.9, 0.3]), 1, 0.1),
        (
            Predictions(["a", "b"], [[0.6, 0.4], [0.1, 0.9]]),
            Predictions(["b", "b"], [[0.4, 0.6], [0.1, 0.9]]),
            1,
            0.2,
        ),
        (Predictions([1.5, 2.0]), Predictions([1.5, 4.0]), 1, 2.0),
        (Predictions(["a"], [0.5]), Predictions(["b"], [0.5]), 1, 1.0),
        (Predictions([]), Predictions([]), 0, 0.0),
    ],
    ids=["alike", "a score", "a class", "a value", "a label alone", "no rows"],
)
def test_answers_are_compared_exactly(
    one: Predictions, other: Predictions, differing: int, largest: float
) -> None:
    found = compare_predictions(one, other)
    assert (found.rows, found.differing) == (len(one), differing)
    assert math.isclose(found.largest, largest, abs_tol=1e-12)


def test_the_last_bit_of_a_score_counts() -> None:
    assert (
        compare_predictions(
            Predictions([True], [0.5]), Predictions([True], [math.nextafter(0.5, 1)])
        ).differing
        == 1
    )
