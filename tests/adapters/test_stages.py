from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from mlops import bundle, predictor
from mlops.bundle import Bundle
from mlops.dataset import Lake, columns_of, conform
from mlops.errors import BundleError, ConfigError, StageError
from mlops.schema import Schema
from mlops.stages import STAGES, main

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
    (root / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
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
    shutil.copytree(tree, other, ignore=shutil.ignore_patterns("build", "*.parquet.tmp"))
    shutil.copytree(tree / "data/lake", other / "data/lake", dirs_exist_ok=True)
    for name in ("prepared", "train", "holdout"):
        (other / f"data/{name}.parquet").unlink(missing_ok=True)
    commands = [stage["cmd"] for stage in yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()]
    run = "import sys; from mlops.stages import main; sys.exit(max(main([name]) for name in sys.argv[1:]))"
    names = [command.split()[-1] for command in commands]
    subprocess.run(
        [sys.executable, "-c", run, *names],
        cwd=other,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "7"},
        check=True,
    )

    assert [command.rpartition(" ")[0] for command in commands] == ["python -m mlops.stages"] * 4
    assert names == list(STAGES)
    assert outputs(other) == outputs(tree)


def test_every_output_of_the_graph_is_written(tree: Path) -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"].values()
    named = [out for stage in stages for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]

    for out in named:
        assert (tree / (out if isinstance(out, str) else next(iter(out)))).exists()


def test_the_graph_names_every_parameter_that_a_stage_reads(tree: Path, tmp_path: Path) -> None:
    # What is not named may change at will: the outputs stay the same.
    other = tmp_path / "other"
    shutil.copytree(tree, other)
    params = yaml.safe_load((other / "params.yaml").read_text())
    (other / "params.yaml").write_text(
        yaml.safe_dump({**params, "deploy": {"keep": 7}, "gate": {"min_rows": 3}}, sort_keys=False)
    )
    for stage in STAGES.values():
        stage(other)

    assert outputs(other) == outputs(tree)


def test_a_bundle_tells_where_it_came_from(tree: Path, trained: Bundle) -> None:
    lineage = trained.lineage

    assert lineage["data"] == Lake(tree / "data/lake").digest()
    assert lineage["module"] == hashlib.sha256(MODEL.encode()).hexdigest()
    assert lineage["lock"] == hashlib.sha256((tree / "requirements.lock").read_bytes()).hexdigest()
    assert lineage["params"]["model"]["params"] == {"C": 2.0}
    assert lineage["unlabelled"] == 20
    assert lineage["train"]["end"] < lineage["holdout"]["start"]
    assert lineage["train"]["rows"] == len(pd.read_parquet(tree / "data/train.parquet"))


def test_rows_without_a_label_are_neither_fitted_nor_held_out(tree: Path) -> None:
    for name in ("train", "holdout"):
        assert pd.read_parquet(tree / f"data/{name}.parquet")["ripe"].notna().all()


def test_a_bundle_answers_its_golden_rows(trained: Bundle) -> None:
    loaded = predictor.load(trained)

    assert isinstance(loaded, predictor.Compiled)
    assert len(trained.golden["rows"]) == 20
    predictor.check_golden(loaded, trained)


def test_golden_rows_tell_a_model_that_answers_differently(trained: Bundle) -> None:
    class Other:
        def predict(self, columns: object) -> predictor.Answers:
            return predictor.Answers([True] * 20, [0.5] * 20)

    with pytest.raises(BundleError, match="Golden row 0 is answered True"):
        predictor.check_golden(Other(), trained)


def test_the_fitted_model_of_a_bundle_answers_as_the_compiled_one(trained: Bundle, tmp_path: Path) -> None:
    files = {name: trained.read(name) for name in json.loads(trained.read("manifest.json"))["files"]}
    del files["model.onnx"]
    files["model.json"] = bundle.to_json({**trained.model.to_dict(), "compiled": False})
    fallback = bundle.write(tmp_path / "fallback", files)
    loaded = predictor.load(fallback)

    assert isinstance(loaded, predictor.Fitted)
    predictor.check_golden(loaded, fallback)


def test_the_reference_holds_fitted_rows_with_the_models_answers(trained: Bundle) -> None:
    reference = pd.read_parquet(trained.folder / "reference.parquet")
    columns = columns_of(reference.assign(colour=reference["colour"].astype(object)), trained.schema)

    assert reference.columns.tolist() == ["size", "colour", "picked", "prediction"]
    assert reference["prediction"].tolist() == predictor.load(trained).predict(columns).scores
    assert trained.reference["loss"]["log_loss"] < trained.reference["baseline"]["log_loss"]
    assert trained.model.categories == {"colour": ["", "blue", "red"]}


def test_metrics_and_plots_tell_of_the_holdout(tree: Path, trained: Bundle) -> None:
    metrics = json.loads((tree / "build/metrics.json").read_text())
    calibration = pd.read_csv(tree / "build/plots/calibration.csv")
    importances = pd.read_csv(tree / "build/plots/importances.csv")

    assert metrics["holdout"]["log_loss"] == pytest.approx(trained.reference["loss"]["log_loss"])
    assert metrics["holdout"]["roc_auc"] > 0.7
    assert metrics["baseline"]["roc_auc"] == 0.5
    assert calibration["rows"].sum() == metrics["rows"]["holdout"] == trained.reference["rows"]
    assert importances["feature"].tolist() == ["size", "colour"]
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
    (root / "models/plums/model.py").unlink()
    with pytest.raises(ConfigError, match=r"model\.builder"):
        STAGES["train"](root)

    monkeypatch.chdir(root)
    assert main(["train"]) == 2
    assert main(["ponder"]) == 2
    assert "usage: python -m mlops.stages prepare|split|train|evaluate" in capsys.readouterr().err


def test_a_lake_has_the_digest_that_dvc_gives_it(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    root = project(tmp_path)
    dvc = [sys.executable, "-m", "dvc"]
    subprocess.run([*dvc, "init", "-q"], cwd=root, check=True)
    subprocess.run([*dvc, "add", "-q", "data/lake"], cwd=root, check=True)
    pointer = yaml.safe_load((root / "data/lake.dvc").read_text())

    assert Lake(root / "data/lake").digest() == pointer["outs"][0]["md5"]


def test_rows_read_back_are_as_the_model_sees_them(tree: Path, trained: Bundle) -> None:
    rows = conform(pd.read_parquet(tree / "data/holdout.parquet"), trained.schema)

    assert predictor.load(trained).predict(columns_of(rows, trained.schema)).predictions
