from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel

from mlops.config.project_folder import load_params
from mlops.data.lake import Lake
from mlops.errors import BundleError, ConfigError, StageError
from mlops.files import yaml
from mlops.model import bundle, predictor
from mlops.model.bundle import Bundle
from mlops.model.trials import Trial, best, from_csv
from mlops.schema import Schema
from mlops.stages import io
from mlops.stages.__main__ import main
from mlops.stages.backtest import read_backtest
from mlops.stages.pipeline import STAGES
from mlops.stages.tuning import search
from mlops.tables.conform import columns_of, conform

ROOT = Path(__file__).parents[2]

MODEL = """
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

def build(params, schema):
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["colour"]), ("passthrough", ["size"])
    )
    return make_pipeline(encode, Ridge() if schema.task == "regression" else LogisticRegression(**params))
"""

PARAMS = {
    "data": {
        "name": "plums",
        "target": "ripe",
        "time": "picked",
        "key": "plum",
        "features": {"size": "number", "colour": "category"},
    },
    "model": {"builder": "models/plums/model.py", "task": "binary", "params": {"C": 2.0}},
    "train": {"window": "20d", "holdout": "5d", "gap": "1d"},
}


def plums(rows: int = 1000) -> pd.DataFrame:
    random = np.random.default_rng(0)
    size = random.normal(size=rows)
    ripe = (size + random.normal(size=rows) > 0).astype(object)
    ripe[::50] = None
    return pd.DataFrame(
        {
            "plum": np.arange(rows),
            "picked": pd.date_range("2013-01-01", periods=rows, freq="h", tz="UTC"),
            "size": size,
            "colour": random.choice(["red", "blue", None], rows),
            "ripe": ripe,
        }
    )


def project(root: Path, task: str = "binary", target: pd.Series | None = None) -> Path:
    params = {**PARAMS, "model": {**PARAMS["model"], "task": task}}
    if task == "regression":
        params["model"]["params"] = {}
    (root / "models/plums").mkdir(parents=True)
    (root / "models/plums/model.py").write_text(MODEL)
    (root / "params.yaml").write_text(yaml.dump(params))
    (root / "requirements.lock").write_text("scikit-learn==1\n")
    table = plums() if target is None else plums().assign(ripe=target)
    Lake(root / "data/lake").append(
        table, Schema({"size": "number", "colour": "category"}, "ripe", task, "picked", "plum")
    )
    return root


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = project(tmp_path_factory.mktemp("project"))
    for stage in STAGES.values():
        stage(root)
    return root


@pytest.fixture
def trained(tree: Path) -> Bundle:
    return bundle.open(tree / "build/bundle")


def outputs(root: Path) -> dict[str, str]:
    files = [
        *(root / "data").glob("*.parquet"),
        *(path for path in (root / "build").rglob("*") if path.is_file()),
    ]
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_another_process_writes_the_same_bytes_with_the_stages_own_commands(
    tree: Path, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere"
    shutil.copytree(tree, other, ignore=shutil.ignore_patterns("build", ".*.tmp"))
    shutil.copytree(tree / "data/lake", other / "data/lake", dirs_exist_ok=True)
    for name in ("prepared", "train", "holdout"):
        (other / f"data/{name}.parquet").unlink(missing_ok=True)
    commands = [stage["cmd"] for stage in yaml.read(ROOT / "dvc.yaml")["stages"].values()]
    run = (
        "import sys; from mlops.stages.__main__ import main; "
        "sys.exit(max(main([name]) for name in sys.argv[1:]))"
    )
    names = [command.split()[-1] for command in commands]
    subprocess.run(
        [sys.executable, "-c", run, *names],
        cwd=other,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"},
        check=True,
    )

    assert [command.rpartition(" ")[0] for command in commands] == ["python -m mlops.stages"] * len(STAGES)
    assert names == list(STAGES)
    assert outputs(other) == outputs(tree)


def test_every_output_of_the_graph_is_written(tree: Path) -> None:
    stages = yaml.read(ROOT / "dvc.yaml")["stages"].values()
    named = [out for stage in stages for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]

    for out in named:
        assert (tree / (out if isinstance(out, str) else next(iter(out)))).exists()


class Read:
    """Parameters that write down which of them are asked for."""

    def __init__(self, params: BaseModel, seen: set[str], path: str = "") -> None:
        self._params, self._seen, self._path = params, seen, path

    def __getattr__(self, name: str) -> Any:
        value, path = getattr(self._params, name), f"{self._path}{name}"
        if isinstance(value, BaseModel):
            return Read(value, self._seen, f"{path}.")
        if name in type(self._params).model_fields:
            self._seen.add(path)
        return value

    def model_dump(self, *, include: Iterable[str] = (), **how: Any) -> Any:
        told = self._params.model_dump(**how, **({"include": set(include)} if include else {}))
        self._seen |= {f"{self._path}{name}" for name in told}
        return told


def test_the_graph_names_every_parameter_that_a_stage_reads(
    tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = shutil.copytree(tuned, tmp_path / "other")
    for name, described in yaml.read(ROOT / "dvc.yaml")["stages"].items():
        seen: set[str] = set()
        monkeypatch.setattr(io, "load_params", lambda path, seen=seen: Read(load_params(path), seen))
        STAGES[name](other)

        named = described.get("params", [])
        assert [path for path in seen if not any(within(path, one) for one in named)] == [], name
        assert [one for one in named if not any(within(path, one) for path in seen)] == [], name


def within(path: str, above: str) -> bool:
    return f"{path}.".startswith(f"{above}.")


def test_what_the_graph_does_not_name_changes_no_output(tree: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tree, other)
    params = yaml.read(other / "params.yaml")
    (other / "params.yaml").write_text(yaml.dump({**params, "deploy": {"keep": 7}, "gate": {"min_rows": 3}}))
    for stage in STAGES.values():
        stage(other)

    assert outputs(other) == outputs(tree)


def test_a_bundle_tells_where_it_came_from(tree: Path, trained: Bundle) -> None:
    lineage = trained.lineage

    assert lineage["data"] == Lake(tree / "data/lake").digest()
    assert lineage["module"] == hashlib.sha256(MODEL.encode()).hexdigest()
    assert lineage["lock"] == hashlib.sha256((tree / "requirements.lock").read_bytes()).hexdigest()
    assert lineage["params"]["model"]["params"] == {"C": 2.0}
    assert trained.model.versions.keys() >= {"mlops-loop", "numpy", "pandas", "pyarrow", "scipy", "python"}
    assert trained.model.versions["pandas"] == pd.__version__
    assert lineage["unlabelled"] == 20
    assert lineage["fitted_until"] == lineage["train"]["end"] == lineage["holdout"]["end"]
    assert len(lineage["folds"]) == 3
    for fold in lineage["folds"]:
        assert fold["train"]["end"] < fold["holdout"]["start"]
    assert sum(fold["holdout"]["rows"] for fold in lineage["folds"]) == lineage["holdout"]["rows"]
    assert lineage["train"]["rows"] == len(pd.read_parquet(tree / "data/train.parquet"))


def test_rows_without_a_label_are_neither_fitted_nor_held_out(tree: Path) -> None:
    for name in ("train", "holdout"):
        assert pd.read_parquet(tree / f"data/{name}.parquet")["ripe"].notna().all()


def test_a_bundle_answers_its_golden_rows(trained: Bundle) -> None:
    loaded = predictor.load(trained)

    assert isinstance(loaded, predictor.Compiled)
    assert len(trained.golden["rows"]) == 20
    predictor.check_golden(loaded, trained)


def _decided_otherwise(tree: Path, folder: Path, **rule: Any) -> Path:
    """Train again in a copy, with a rule for the labels."""
    other = shutil.copytree(tree, folder)
    params = yaml.read(other / "params.yaml")
    (other / "params.yaml").write_text(yaml.dump({**params, "model": {**params["model"], **rule}}))
    for stage in STAGES.values():
        stage(other)
    return other


@pytest.mark.parametrize(
    ("rule", "cut"),
    [({"threshold": 0.2}, 0.2), ({"costs": {"false_positive": 1, "false_negative": 3}}, 0.25)],
)
def test_labels_follow_the_rule_of_params_and_the_model_is_the_same(
    tree: Path, trained: Bundle, tmp_path: Path, rule: dict[str, Any], cut: float
) -> None:
    other = _decided_otherwise(tree, tmp_path / "other", **rule)
    made = bundle.open(other / "build/bundle")

    assert made.model_files == trained.model_files
    golden = made.golden["predictions"]
    assert {row["prediction"] for row in golden} == {True, False}
    for row, likelier in zip(golden, trained.golden["predictions"], strict=True):
        assert row["score"] == likelier["score"]
        assert row["prediction"] is (row["score"] >= cut)
    predictor.check_golden(predictor.load(made), made)
    out_of_fold = read_backtest(other / "build/backtest.parquet").predictions
    assert out_of_fold.values == [score >= cut for score in out_of_fold.scores or []]
    figures = json.loads((other / "build/metrics.json").read_text())
    before = json.loads((tree / "build/metrics.json").read_text())
    assert figures["holdout"]["log_loss"] == before["holdout"]["log_loss"]
    assert figures["holdout"]["zero_one"] != before["holdout"]["zero_one"]
    assert ("cost" in figures["holdout"]) == ("cost" in made.reference["loss"]) == ("costs" in rule)
    if "costs" in rule:
        assert figures["holdout"]["cost"] < figures["baseline"]["cost"]
        assert made.reference_loss("cost") == made.reference["loss"]["cost"]
    with pytest.raises(BundleError, match="trained without cost"):
        trained.reference_loss("cost")


def test_without_a_rule_a_bundle_bears_none(tree: Path, trained: Bundle) -> None:
    assert "decision" not in json.loads(trained.read("model.json"))
    assert not {"threshold", "costs"} & set(trained.lineage["params"]["model"])
    assert trained.model.decision is None
    assert "decision" not in io.read_table(tree / "build/backtest.parquet")[1]


def test_a_cost_of_a_label_that_the_table_does_not_have_is_named(tmp_path: Path) -> None:
    ripeness = pd.Series(np.array(["green", "ripe", "rotten"], dtype=object)[np.arange(1000) % 3])
    root = project(tmp_path / "plums", "multiclass", ripeness)
    for name in ("prepare", "split", "search"):
        STAGES[name](root)
    params = yaml.read(root / "params.yaml")
    for costs in ({"mouldy": 5}, {"rotten": {"mouldy": 5}}):
        (root / "params.yaml").write_text(yaml.dump({**params, "model": {**params["model"], "costs": costs}}))
        with pytest.raises(ConfigError, match=r"model\.costs: got 'mouldy', allowed: labels of the table"):
            STAGES["backtest"](root)
    (root / "params.yaml").write_text(
        yaml.dump({**params, "model": {**params["model"], "costs": {"rotten": {"ripe": 9}}}})
    )
    STAGES["backtest"](root)
    predicted = read_backtest(root / "build/backtest.parquet").predictions.values
    assert predicted.count("rotten") > predicted.count("ripe")


def test_golden_rows_tell_a_model_that_answers_differently(trained: Bundle) -> None:
    class Other:
        def predict(self, columns: object) -> predictor.Predictions:
            return predictor.Predictions([True] * 20, [0.5] * 20)

    with pytest.raises(BundleError, match="Golden row 0: predicted True"):
        predictor.check_golden(Other(), trained)


def test_the_fitted_model_of_a_bundle_answers_as_the_compiled_one(trained: Bundle, tmp_path: Path) -> None:
    files = {name: trained.read(name) for name in json.loads(trained.read("manifest.json"))["files"]}
    del files["model.onnx"]
    files["model.json"] = bundle.to_json({**trained.model.to_dict(), "compiled": False})
    fallback = bundle.write(tmp_path / "fallback", files)
    loaded = predictor.load(fallback)

    assert isinstance(loaded, predictor.Fitted)
    predictor.check_golden(loaded, fallback)


def test_the_reference_holds_fitted_rows_and_out_of_fold_predictions_of_others(
    tree: Path, trained: Bundle
) -> None:
    reference, answers = (
        pd.read_parquet(trained.folder / f"{name}.parquet") for name in ("reference", "predictions")
    )
    fitted, held = (pd.read_parquet(tree / f"data/{name}.parquet") for name in ("train", "holdout"))

    pd.testing.assert_frame_equal(reference, fitted[["size", "colour", "picked"]])
    assert answers["picked"].tolist() == held["picked"].tolist()
    judged = read_backtest(tree / "build/backtest.parquet")
    assert answers["prediction"].tolist() == judged.predictions.scores
    columns = columns_of(conform(held, trained.schema), trained.schema)
    assert answers["prediction"].tolist() != predictor.load(trained).predict(columns).scores
    assert trained.reference["loss"]["log_loss"] < trained.reference["baseline"]["log_loss"]
    assert trained.model.categories == {"colour": ["", "blue", "red"]}


def test_metrics_and_plots_tell_of_the_holdout(tree: Path, trained: Bundle) -> None:
    metrics = json.loads((tree / "build/metrics.json").read_text())
    calibration = pd.read_csv(tree / "build/plots/calibration.csv")
    importances = pd.read_csv(tree / "build/plots/importances.csv")

    assert metrics["holdout"]["log_loss"] == pytest.approx(trained.reference["loss"]["log_loss"])
    assert metrics["holdout"]["roc_auc"] > 0.7
    assert metrics["baseline"]["roc_auc"] == pytest.approx(0.5, abs=0.05)  # a constant a fold
    assert calibration["rows"].sum() == metrics["rows"]["holdout"] == trained.reference["rows"]
    assert importances["feature"].tolist() == ["size", "colour"]
    assert trained.reference["importances"] == pytest.approx(dict(importances.to_numpy().tolist()))
    assert len(pd.read_csv(tree / "build/plots/confusion.csv")) == metrics["rows"]["holdout"]


@pytest.mark.parametrize(("task", "figure"), [("regression", "rmse"), ("multiclass", "f1_macro")])
def test_other_tasks_go_the_same_way(tmp_path: Path, task: str, figure: str) -> None:
    size = plums()["size"]
    target = (
        size * 3
        if task == "regression"
        else pd.cut(size, [-9, -1, 1, 9], labels=["s", "m", "l"]).astype(object)
    )
    root = project(tmp_path, task, target)
    for stage in STAGES.values():
        stage(root)
    trained = bundle.open(root / "build/bundle")

    metrics = json.loads((root / "build/metrics.json").read_text())
    assert metrics["holdout"][figure] != metrics["baseline"][figure]
    residuals = pd.read_csv(root / "build/plots/residuals.csv")
    assert len(residuals) == (metrics["rows"]["holdout"] if task == "regression" else 0)
    assert trained.model.compiled, trained.model.why_not_compiled
    predictor.check_golden(predictor.load(trained), trained)
    assert list(trained.reference["loss"]) == sorted(trained.reference["loss"])


def test_a_stage_says_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch
) -> None:
    root = project(tmp_path)
    with pytest.raises(StageError, match=r"prepared\.parquet was not written by the stage before"):
        STAGES["split"](root)
    STAGES["prepare"](root)
    STAGES["split"](root)
    with pytest.raises(StageError, match=r"search\.json was not written by the stage search"):
        STAGES["backtest"](root)
    STAGES["search"](root)
    with pytest.raises(StageError, match=r"backtest\.parquet was not written by the stage backtest"):
        STAGES["train"](root)
    (root / "models/plums/model.py").unlink()
    with pytest.raises(ConfigError, match=r"model\.builder"):
        STAGES["backtest"](root)

    monkeypatch.chdir(root)
    assert main(["backtest"]) == 2
    assert main(["ponder"]) == 2
    assert (
        "usage: python -m mlops.stages prepare|split|search|backtest|train|evaluate"
        in capsys.readouterr().err
    )


def test_a_lake_has_the_digest_that_dvc_gives_it(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    root = project(tmp_path)
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "-q"], cwd=root, check=True)
    subprocess.run([*dvc, "add", "-q", "data/lake"], cwd=root, check=True)
    pointer = yaml.read(root / "data/lake.dvc")

    assert Lake(root / "data/lake").digest() == pointer["outs"][0]["md5"]


def test_rows_read_back_are_as_the_model_sees_them(tree: Path, trained: Bundle) -> None:
    rows = conform(pd.read_parquet(tree / "data/holdout.parquet"), trained.schema)

    assert predictor.load(trained).predict(columns_of(rows, trained.schema)).values


SEARCH = {"trials": 6, "folds": 2, "space": {"C": {"low": 0.001, "high": 10.0, "log": True}}}
DIES = """
import os
import signal
from pathlib import Path

FITS = Path("fits")
PLAIN = build

def build(params, schema):
    with FITS.open("a") as file:
        print(params["C"], file=file)
    if Path("deadly").exists() and len(FITS.read_text().splitlines()) == 8:
        os.kill(os.getpid(), signal.SIGKILL)
    return PLAIN(params, schema)
"""


def searching(root: Path, module: str = MODEL, **search: object) -> Path:
    """A project that searches, as far as its stage `search`."""
    project(root)
    (root / "models/plums/model.py").write_text(module)
    params = yaml.read(root / "params.yaml")
    params["model"]["search"] = {**SEARCH, **search}
    (root / "params.yaml").write_text(yaml.dump(params))
    for name in ("prepare", "split"):
        STAGES[name](root)
    return root


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = searching(tmp_path_factory.mktemp("tuned"))
    for name in ("search", "backtest", "train"):
        STAGES[name](root)
    return root


def trials_of(root: Path) -> list[Trial]:
    return from_csv((root / "build/trials.csv").read_bytes())


def test_a_search_fits_its_best_trial_and_the_bundle_tells(tuned: Path) -> None:
    trained = bundle.open(tuned / "build/bundle")
    told, leader = trained.lineage["search"], best(trials_of(tuned))

    assert leader is not None
    assert told["trial"] == leader.number
    assert told["params"] == {"C": float(leader.params["C"])}
    assert (told["metric"], told["loss"]) == ("log_loss", leader.loss)
    assert sum(told["trials"].values()) == 6
    assert "optuna" in trained.model.versions
    assert trained.lineage["params"]["model"]["params"] == {"C": 2.0}
    fitted = predictor.load_fitted(trained.read("model.skops"), MODEL.encode(), trusted=())
    assert told["params"] == {"C": fitted[-1].C}
    assert not (tuned / ".mlops/search").exists()


def test_where_nobody_searches_the_trials_are_a_header(tree: Path, trained: Bundle) -> None:
    assert (tree / "build/trials.csv").read_text().splitlines() == ["trial,state,loss,best,folds,error"]
    assert "search" not in trained.lineage


def test_the_holdout_has_no_say_in_a_search(tuned: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    other = tmp_path / "other"
    shutil.copytree(tuned, other)
    first = bundle.open(tuned / "build/bundle").lineage["folds"][0]
    origin = pd.Timestamp(first["holdout"]["start"])
    rows = pq.read_table(other / "data/prepared.parquet")
    judged = [time >= origin for time in rows["picked"].to_pandas()]
    labels = rows["ripe"].to_pylist()
    ripe = pa.array(
        [
            label if not held or label is None else not label
            for label, held in zip(labels, judged, strict=True)
        ]
    )
    assert any(judged)
    pq.write_table(
        rows.set_column(rows.column_names.index("ripe"), "ripe", ripe), other / "data/prepared.parquet"
    )
    STAGES["search"](other)

    assert (other / "build/trials.csv").read_bytes() == (tuned / "build/trials.csv").read_bytes()


def test_a_search_killed_in_another_process_ends_in_the_same_bytes(tmp_path: Path) -> None:
    def search(root: Path) -> int:
        done = subprocess.run(
            [sys.executable, "-m", "mlops.stages", "search"],
            cwd=root,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
            check=False,
            capture_output=True,
            text=True,
        )
        said.append(done.stderr)
        return done.returncode

    said: list[str] = []
    whole, killed = (searching(tmp_path / name, MODEL + DIES) for name in ("whole", "killed"))
    (killed / "deadly").touch()
    assert search(whole) == 0
    assert search(killed) == -signal.SIGKILL
    assert not (killed / "build").exists()
    [journal] = (killed / ".mlops/search").iterdir()
    ended = len(journal.read_text().splitlines())
    (killed / "deadly").unlink()
    assert search(killed) == 0

    assert 0 < ended < 6
    assert f"{ended} of 6 trials finished before" in said[-1]
    assert outputs(killed) == outputs(whole)
    fits = [(root / "fits").read_text().splitlines() for root in (whole, killed)]
    assert fits[1][:8] == fits[0][:8]
    assert fits[1][8:] == fits[0][-len(fits[1][8:]) :]  # of the trials that had not ended alone
    assert len(fits[1]) <= len(fits[0]) + 2
    assert not (killed / ".mlops/search").exists()


def test_a_search_goes_on_in_another_tree_that_keeps_its_trials_in_the_same_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = MODEL + DIES.replace("os.kill(os.getpid(), signal.SIGKILL)", "raise KeyboardInterrupt")
    one, other = (searching(tmp_path / name, stopped, trials=5) for name in ("one", "other"))
    journals = tmp_path / "journals"
    journals.mkdir()
    (journals / "of-another.jsonl").touch()
    (one / "deadly").touch()
    monkeypatch.chdir(one)
    with pytest.raises(KeyboardInterrupt):
        search(one, journals=journals)
    monkeypatch.chdir(other)
    search(other, journals=journals)

    fits = [(root / "fits").read_text().splitlines() for root in (one, other)]
    assert len(fits[0]) == 8
    assert len(fits[1]) == 2 * (5 - 3)  # two folds of each trial that had not ended
    assert [path.name for path in journals.iterdir()] == ["of-another.jsonl"]


def test_a_search_whose_trials_all_fail_says_what_the_first_said(tmp_path: Path) -> None:
    root = searching(tmp_path, trials=2, space={"solver": ["none", "such"]})

    with pytest.raises(StageError, match=r"All 2 trials .* the first with: .*solver"):
        STAGES["search"](root)
    assert not (root / "build").exists()
