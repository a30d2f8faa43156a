"""The modules of docs/own-models.md, each trained by the stages and served by another process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlops.adapters.targets.process import ProcessTarget
from mlops.deployment.rollout import Spec, Target, wait_ready
from mlops.errors import BundleError, ConfigError, StageError, UnavailableError
from mlops.files import yaml
from mlops.model import bundle, predictor
from mlops.model.bundle import Bundle
from mlops.stages.pipeline import STAGES
from mlops.tables.conform import columns_of, conform
from tests.adapters.test_stages import outputs, plums, project

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/own-models.md").read_text()
TRANSFORMER, BOOSTER = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
TRUSTED, BOOSTED = (
    yaml.parse(block, file="")["model"]
    for block in re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
)
SPLINES = """
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

def build(params, schema):
    splines = make_pipeline(SimpleImputer(), SplineTransformer())
    return make_pipeline(make_column_transformer((splines, ["size"])), LogisticRegression())
"""
LOCK = (ROOT / "requirements.lock").read_text()


def trained(root: Path, source: str, *, task: str = "binary", target: Any = None, **model: Any) -> Bundle:
    """Run the stages of a project whose module and `model` section are these."""
    project(root, task, target)
    (root / "models/plums/model.py").write_text(source)
    (root / "requirements.lock").write_text(LOCK)
    params = yaml.read(root / "params.yaml")
    params["model"] = {**params["model"], "params": {}, "seed": 3, **model, "task": task}
    params["model"]["builder"] = "models/plums/model.py"
    (root / "params.yaml").write_text(yaml.dump(params))
    for stage in STAGES.values():
        stage(root)
    return bundle.open(root / "build/bundle")


@pytest.fixture(scope="module")
def boosted(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return trained(tmp_path_factory.mktemp("boosted"), BOOSTER, **BOOSTED)


def served(target: Target, model: Bundle, log: Path) -> list[dict[str, Any]]:
    """Serve a bundle and return what it answers to its golden rows, over HTTP."""
    spec = Spec("own", version="1", bundle=model.folder, digest=model.digest, log=log)
    serving = target.start(spec)
    try:
        wait_ready(target, serving)
        body = json.dumps({"rows": model.golden["rows"]}).encode()
        request = urllib.request.Request(
            f"{serving.address}/predict", body, {"content-type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return list(json.load(answer)["predictions"])
    finally:
        target.stop(serving, drain=0)


def said(predictions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{name: answer[name] for name in ("prediction", "score")} for answer in predictions]


def test_a_transformer_of_ones_own_is_bundled_by_digest_and_served(tmp_path: Path) -> None:
    model = trained(tmp_path / "project", TRANSFORMER)

    assert model.read("module.py") == TRANSFORMER.encode()
    assert "Distances" in (model.model.why_not_compiled or "")
    answers = served(ProcessTarget(tmp_path / "home"), model, tmp_path / "log")
    assert said(answers) == model.golden["predictions"]
    metrics = json.loads((tmp_path / "project/build/metrics.json").read_text())
    assert metrics["holdout"]["log_loss"] < metrics["baseline"]["log_loss"]


def test_a_type_nobody_reviewed_is_served_where_params_yaml_trusts_it(tmp_path: Path) -> None:
    model = trained(tmp_path / "project", SPLINES, trusted=TRUSTED["trusted"])
    files = {name: model.read(name) for name in json.loads(model.read("manifest.json"))["files"]}
    info = {**model.model.to_dict(), "trusted": []}
    other = bundle.write(tmp_path / "other", {**files, "model.json": bundle.to_json(info)})

    assert (
        said(served(ProcessTarget(tmp_path / "home"), model, tmp_path / "log")) == model.golden["predictions"]
    )
    with pytest.raises(BundleError, match=r"asarray, scipy.*BSpline, types not on the reviewed list"):
        predictor.load(other)


def test_a_model_outside_scikit_learn_is_served_as_it_answers_here(boosted: Bundle, tmp_path: Path) -> None:
    assert boosted.model.custom
    assert boosted.read("model.custom").startswith(b"tree\nversion=")
    assert not (boosted.folder / "model.skops").exists()
    assert boosted.model.versions["lightgbm"]
    answers = served(ProcessTarget(tmp_path / "home"), boosted, tmp_path / "log")
    assert said(answers) == boosted.golden["predictions"]


def test_a_model_outside_scikit_learn_is_the_same_again(boosted: Bundle, tmp_path: Path) -> None:
    again = trained(tmp_path / "again", BOOSTER, **BOOSTED)

    assert again.digest == boosted.digest
    assert outputs(tmp_path / "again") == outputs(boosted.folder.parents[1])


@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_a_model_outside_scikit_learn_does_the_other_tasks_too(tmp_path: Path, task: str) -> None:
    size = plums()["size"]
    names = size.map(lambda value: "large" if value > 1 else "middling" if value > -1 else "small")
    target = size * 3 if task == "regression" else names.astype(object)
    model = trained(tmp_path, BOOSTER, target=target, **{**BOOSTED, "task": task})
    loaded = predictor.load(model)

    predictor.check_golden(loaded, model)
    loss = model.reference["loss"], model.reference["baseline"]
    assert all(loss[0][name] < loss[1][name] / 2 for name in loss[0])


def test_a_search_tunes_a_model_outside_scikit_learn(tmp_path: Path) -> None:
    axis = {"low": 2, "high": 16}
    search = {"trials": 3, "folds": 2, "space": {"num_leaves": axis}}
    model = trained(tmp_path, BOOSTER, **{**BOOSTED, "search": search})
    picked = model.lineage["search"]["params"]

    assert picked["rounds"] == BOOSTED["params"]["rounds"]
    assert f"[num_leaves: {picked['num_leaves']}]".encode() in model.read("model.custom")


def test_a_category_that_was_not_met_is_a_missing_one(boosted: Bundle) -> None:
    row = {"size": [0.1], "colour": ["green"]}
    frame = plums(1).drop(columns=list(row)).assign(**row)

    assert predictor.load(boosted).predict(columns_of(conform(frame, boosted.schema), boosted.schema)).scores


def test_a_package_that_the_lock_does_not_pin_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.packages: got 'nonesuch', allowed: a package that"):
        trained(tmp_path, BOOSTER, packages=["nonesuch"])


@pytest.mark.parametrize(
    ("was", "becomes", "error", "named"),
    [
        ("def save(", "def keep(", ConfigError, "lacks save"),
        (".encode()", "", StageError, "save returned str, not bytes"),
        (".encode()", ".encode()[:90]", StageError, "could not be saved and read"),
        ("return model.predict(table(features))", "return [[1.0]]", BundleError, r"shape \(1, 1\)"),
        (
            "return model.predict(table(features))",
            "return 2 * model.predict(table(features))",
            BundleError,
            "below 0",
        ),
        (
            "return model.predict(table(features))",
            "return float('nan') * model.predict(table(features))",
            BundleError,
            "not finite",
        ),
    ],
)
def test_what_a_module_gets_wrong_is_told(
    tmp_path: Path, was: str, becomes: str, error: type[Exception], named: str
) -> None:
    assert was in BOOSTER
    with pytest.raises(error, match=named):
        trained(tmp_path, BOOSTER.replace(was, becomes), **{**BOOSTED, "params": {"rounds": 2}})


def docker_target(home: Path, base: str) -> Target:
    from mlops.adapters.targets.docker import DockerTarget

    return DockerTarget(
        "own-models",
        home=home,
        base=base,
        lock=ROOT / "requirements.lock",
        template=ROOT / "models" / "Dockerfile",
    )


@pytest.fixture
def base() -> Iterator[Callable[[str], str]]:
    """Make images of one line upon the base; they are gone afterwards."""
    made: list[str] = []
    usual = os.environ.get("MLOPS_BASE_IMAGE", "python:3.11-slim")

    def make(line: str) -> str:
        name = f"mlops-test-base:{len(made)}"
        subprocess.run(
            ["docker", "build", "--quiet", "--tag", name, "-"],
            input=f"FROM {usual}\nUSER root\n{line}\n",
            text=True,
            check=True,
            capture_output=True,
        )
        made.append(name)
        return name

    yield make
    subprocess.run(["docker", "rmi", "--force", *made], check=True, capture_output=True)


@pytest.mark.engine
@pytest.mark.story
def test_an_image_brings_what_the_module_imports_or_says_what_its_base_lacks(
    boosted: Bundle, tmp_path: Path, base: Callable[[str], str]
) -> None:
    install = "(apt-get update && apt-get install -y libgomp1)"
    with_openmp = base(f"RUN ldconfig -p | grep -q libgomp.so.1 || {install}")
    without = base("RUN find / -name 'libgomp.so.1*' -not -path '/proc/*' -delete; ldconfig")

    target = docker_target(tmp_path / "home", with_openmp)
    assert said(served(target, boosted, tmp_path / "log")) == boosted.golden["predictions"]
    poorer = docker_target(tmp_path / "poorer", without)
    with pytest.raises(UnavailableError, match=r"libgomp\.so\.1.*MLOPS_BASE_IMAGE"):
        served(poorer, boosted, tmp_path / "log2")
    target.prune(keep=0)
