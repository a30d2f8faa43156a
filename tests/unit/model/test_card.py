from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlops.config.params import GateParams
from mlops.model import bundle
from mlops.model.bundle import Bundle, ModelInfo, to_json
from mlops.model.card import ModelCard, project
from mlops.schema import Schema

SCHEMA = Schema({"size": "number", "colour": "category"}, "ripe", "binary", "picked", "plum")
GATE = GateParams()
WINDOW = {"start": "2026-01-01T00:00:00+00:00", "end": "2026-01-20T05:00:00+00:00", "rows": 12_345}
HOLDOUT = {"start": "2026-01-21T00:00:00+00:00", "end": "2026-01-26T00:00:00.000001+00:00", "rows": 200}
METRICS = {
    "holdout": {"log_loss": 0.41, "roc_auc": 0.8},
    "baseline": {"log_loss": 0.69},
    "rows": {"train": 12_345, "holdout": 200},
}


def made(folder: Path, *, schema: Schema = SCHEMA, windows: tuple[Any, Any] = (WINDOW, HOLDOUT)) -> Bundle:
    regression = schema.task == "regression"
    info = ModelInfo(
        schema.task,
        None if regression else [False, True],
        0.5,
        compiled=True,
        categories={"colour": ["", "blue", *(f"c{i:02}" for i in range(20))]},
        versions={"scikit-learn": "1.9.1"},
    )
    lineage = {
        "data": "d" * 32 + ".dir",
        "unlabelled": 7,
        "params": {"data": {"name": "plums"}, "model": {"builder": "models/plums/model.py"}},
        "lock": "1" * 64,
        "module": "2" * 64,
        "train": windows[0],
        "fitted_until": windows[1]["end"],
        "holdout": windows[1],
        "folds": [{}, {}, {}],
    }
    golden = {
        "rows": [{"size": 1.5, "colour": "a|b", "plum": "p1"}],
        "predictions": [{"prediction": True, "score": 0.9}],
    }
    files = {
        "schema.json": to_json(schema.to_dict()),
        "model.json": to_json(info.to_dict()),
        "golden.json": to_json(golden),
        "lineage.json": to_json(lineage),
    }
    return bundle.write(folder / "bundle", files)


def card(made: Bundle, **others: Any) -> ModelCard:
    facts = {"metrics": METRICS, "importances": [("size", 0.2), ("colour", 0.01)], "gate": GATE}
    return ModelCard(made, **{**facts, "commit": "c0ffee" * 6, **others})


@pytest.fixture
def text(tmp_path: Path) -> str:
    return card(made(tmp_path)).text()


def test_a_card_has_the_sections_that_people_look_for(text: str) -> None:
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# plums: ripe",
        "## Intended use",
        "## How to get predictions",
        "## Training data",
        "## Figures",
        "## Features",
        "## Validation",
        "## Limits",
        "## Lineage",
    ]


def test_a_card_sets_each_figure_beside_a_constant_answers(text: str) -> None:
    assert "| `log_loss` | 0.41 | 0.69 |" in text
    assert "| `roc_auc` | 0.8 |  |" in text


def test_a_card_tells_each_features_kind_values_and_importance(text: str) -> None:
    assert "| `size` | number |  | 0.2 |" in text
    [colour] = [line for line in text.splitlines() if line.startswith("| `colour`")]
    assert "`blue`, `c00`" in colour
    assert "``" not in colour, "a missing value is no category to name"
    assert colour.endswith("and 12 more | 0.01 |")


def test_a_card_names_all_that_would_make_the_model_again(text: str, tmp_path: Path) -> None:
    lineage = text.partition("## Lineage")[2]
    digest = bundle.open(tmp_path / "bundle").digest
    for named in ("c0ffee" * 6, "d" * 32 + ".dir", "1" * 64, "2" * 64, digest, "1.9.1"):
        assert f"`{named}`" in lineage


def test_a_card_asks_with_a_row_that_the_model_answered(text: str) -> None:
    assert '{"size": 1.5, "colour": "a|b"}' in text
    assert '{"prediction": true, "score": 0.9}' in text
    assert 'mlflow.pyfunc.load_model("models:/plums@champion").predict(frame)' in text


def test_the_short_form_tells_what_on_which_rows_and_how_good(tmp_path: Path) -> None:
    short = card(made(tmp_path)).short()
    assert short.startswith("Predicts `ripe`, a binary label. Fitted on 12,345 rows of 2026-01-01 to")
    assert (
        "`log_loss` 0.41 out of fold; baseline (constant prediction) 0.69. Counts most: `size`, `colour`."
        in short
    )
    assert len(short) < 600


def test_a_model_is_told_from_others_by_the_newest_day_it_knows_and_its_rows(tmp_path: Path) -> None:
    assert card(made(tmp_path)).title == "2026-01-26 · 12k rows"  # a row at midnight; the end is exclusive


def test_a_table_without_time_has_a_card_too(tmp_path: Path) -> None:
    schema = Schema({"size": "number", "colour": "category"}, "weight", "regression")
    rows = {"start": None, "end": None, "rows": 321}
    timeless = card(made(tmp_path, schema=schema, windows=(rows, rows)))
    assert timeless.title == "data dddddddddddd · 321 rows"
    assert "Fitted on 321 rows." in timeless.text()
    assert "It predicts a value." in timeless.text()
    assert "None" not in timeless.text()


def test_a_project_tells_its_target_features_and_rule() -> None:
    about = project("plums", SCHEMA, GateParams(min_improvement=0.01))
    assert "predicts `ripe`, a binary label from 2 features: `size`, `colour`" in about
    assert "mean `log_loss` is significantly lower than the champion's by more than 0.01" in about
    assert "tags.`mlops.gate` = 'promoted'" in about
