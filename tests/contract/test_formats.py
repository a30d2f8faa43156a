"""Every stored format bears a version; an unknown one is refused by name. The ledger: test_ledger.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
import pyarrow.parquet as pq
import pytest

from mlops.adapters.processes import process_id
from mlops.adapters.targets.process import ProcessTarget
from mlops.config.paths import BACKTEST, CHOSEN, POSITIONS
from mlops.config.project_folder import load_params
from mlops.data import contract
from mlops.data.lake import Lake
from mlops.data.snapshot import Snapshot
from mlops.data.source import Fetched
from mlops.deployment.rollout import Serving, TargetContext
from mlops.errors import ConfigError, MlopsError
from mlops.files import archive, formats
from mlops.model import bundle
from mlops.model.trials import Journal, Trial
from mlops.prediction_log import label_log, reader
from mlops.prediction_log.segment import records
from mlops.prediction_log.writer import PredictionLog
from mlops.project import run_marks, target_choice
from mlops.project.context import Project
from mlops.project.source_pull import merge_positions, pull, restore_positions
from mlops.rows import Rows
from mlops.schema import Schema
from mlops.stages import backtest, io
from mlops.stages.prepare import prepare
from mlops.stages.tuning import search
from mlops.task_types.predictions import Predictions
from mlops.training.out_of_fold import OutOfFold
from tests.outside import TARGET
from tests.tiny import tiny_bundle

SCHEMA = Schema({"size": "number"}, "ripe", "binary", "picked", "plum")
TABLE = pd.DataFrame(
    {
        "plum": ["a", "b"],
        "picked": pd.to_datetime(["2026-01-01", "2026-01-02"], utc=True),
        "size": [1.0, 2.0],
        "ripe": [True, False],
    }
)
PARAMS = """\
version: 1
data: {name: plums, target: ripe, time: picked, key: plum, features: {size: number}}
model: {builder: m.py, task: binary}
"""
NOW = datetime(2026, 1, 3, tzinfo=UTC)

Stored = tuple[Path, Callable[[], object]]
"""A file that was written, and what reads it."""


def of_params(root: Path) -> Stored:
    file = root / "params.yaml"
    file.write_text(PARAMS)
    return file, lambda: load_params(file)


def of_a_contract(root: Path) -> Stored:
    file = root / "contract.yaml"
    file.write_text(contract.infer(TABLE, SCHEMA).to_yaml())
    return file, lambda: contract.load(file, SCHEMA)


def of_a_bundle(root: Path) -> Stored:
    tiny_bundle(root / "bundle")
    return root / "bundle" / bundle.MANIFEST, lambda: bundle.open(root / "bundle")


def of_a_segment(root: Path) -> Stored:
    log = PredictionLog(root / "log", "one")
    rows = Rows({}, [{"size": 1.0}], ["a"], [NOW.isoformat()])
    log.write(records(rows, Predictions([True], [0.5]), ids=["1"], at=NOW, deployment="one", version="1"))
    log.close()
    [file] = (root / "log").rglob("*.jsonl")
    return file, lambda: reader.read(root / "log", SCHEMA)


def of_a_compacted_segment(root: Path) -> Stored:
    of_a_segment(root)
    reader.compact(root / "log", SCHEMA)
    [file] = (root / "log").rglob("*.parquet")
    return file, lambda: reader.read(root / "log", SCHEMA)


def of_labels(root: Path) -> Stored:
    table = pd.DataFrame({"plum": ["a"], "ripe": [True]})
    label_log.add(root / "labels", table, by="key", schema=SCHEMA, known={"a"}, at=NOW)
    [file] = (root / "labels").glob("*.parquet")
    return file, lambda: label_log.read(root / "labels")


def of_the_history_of_a_label(root: Path) -> Stored:
    file, _ = of_labels(root)
    return file, lambda: label_log.history(root / "labels", id="1", key="a")


def of_the_lake(root: Path) -> Stored:
    lake = Lake(root / "data/lake")
    lake.append(TABLE, SCHEMA)
    [file] = (root / "data/lake").rglob("*.parquet")
    return file, lambda: lake.read(SCHEMA)


def of_a_stage(root: Path) -> Stored:
    of_params(root)
    of_the_lake(root)
    prepare(root)
    file = root / "data/prepared.parquet"
    return file, lambda: io.read_rows(file, SCHEMA)


def of_a_backtest(root: Path) -> Stored:
    predicted = Predictions([True], [0.5])
    (root / "build").mkdir()
    file = root / BACKTEST
    file.write_bytes(
        backtest._to_bytes(OutOfFold(np.zeros(1, int), predicted, predicted, [False, True], {"size": 0.1}))
    )
    return file, lambda: backtest.read_backtest(file)


def of_the_choice_of_a_search(root: Path) -> Stored:
    of_params(root)
    search(root)
    return root / CHOSEN, lambda: backtest.read_chosen(root)


def of_a_backup(root: Path) -> Stored:
    (root / "note.txt").write_text("a note")
    with archive.write(root / "backup.tar", {}) as out:
        out.add("note.txt", root / "note.txt")
    return root / "backup.tar", lambda: archive.extract(root / "backup.tar", root / "into")


def of_the_mark_of_a_run(root: Path) -> Stored:
    run_marks.write(root, "one")
    return root / "runs/one.json", lambda: list(run_marks.marks(root))


def of_positions(root: Path) -> Stored:
    restore_positions(root, json.dumps({"format": 1, "positions": {"source": 3}}))
    return root / POSITIONS, lambda: merge_positions(root, (root / POSITIONS).read_text())


def of_the_intent_of_a_pull(root: Path) -> Stored:
    (root / "params.yaml").write_text(PARAMS.replace("name: plums", "name: plums, source: in/*.csv"))
    project = Project.at(root)
    pulled = pull(project, root)
    (pulled.folder / "june.csv").write_text("plum\na\n")
    replace(pulled, tables=(Fetched(pulled.folder / "june.csv", "june.csv"),)).write_intent()
    return pulled.folder / "fetched.json", lambda: pull(project, root)


def of_the_intent_of_a_batch(root: Path) -> Stored:
    lake = Lake(root / "data/lake")
    with lake.staging() as staging:
        staging.write(TABLE, SCHEMA.time)
        lake.declare_intent([staging])
    return root / "data/.lake-intent/parts.json", lake.incomplete_files


def of_a_version_of_the_lake(root: Path) -> Stored:
    file, _ = of_the_lake(root)
    return file, lambda: len(Snapshot({file.name: file}))


def of_the_labels_of_the_lake(root: Path) -> Stored:
    file, _ = of_the_lake(root)
    lake = Lake(root / "data/lake")

    def read() -> None:
        with lake.staging(1) as staging:
            staging.write(TABLE, SCHEMA.time)
            lake.refuse_other_labels(staging, SCHEMA)

    return file, read


def of_the_targets_of_a_project(root: Path) -> Stored:
    (root / "bare.py").write_text(TARGET)
    context = TargetContext("plums", root=root, home=root, base_image="")
    target_choice.choose("bare.py:Bare", context)
    return root / "targets.json", lambda: target_choice.choose("bare.py:Bare", context)


def of_a_service(root: Path) -> Stored:
    target = ProcessTarget(root)
    serving = Serving("one", "1", "d", "process", "http://127.0.0.1:9", process_id.name(psutil.Process()))
    (root / "services").mkdir()
    target._write(serving)
    return root / "services/one.json", target.running


def of_the_trials_of_a_search(root: Path) -> Stored:
    journal = Journal(root / "trials.jsonl")
    journal.add(Trial(1, "complete", {}, (0.5,)), seconds=1.0)
    return root / "trials.jsonl", journal.read


def with_version(file: Path, version: int) -> None:
    """Write the file anew, as another version of mlops would."""
    if file.suffix == ".parquet":
        pq.write_table(formats.stamped(pq.read_table(file, partitioning=None), version), file)
        return
    content = file.read_bytes()
    for known in (b"version: 1", b'"format": 1', b'"format":1', b'"format": 2'):
        number = str(version).encode()
        content = content.replace(known, known[:-1] + number)
    # The manifest of an archive has the length that its header tells.
    assert content != file.read_bytes()
    file.write_bytes(content)


@pytest.mark.parametrize(
    "write",
    [
        of_params,
        of_a_contract,
        of_a_bundle,
        of_a_segment,
        of_a_compacted_segment,
        of_labels,
        of_the_history_of_a_label,
        of_the_lake,
        of_a_stage,
        of_a_backtest,
        of_the_choice_of_a_search,
        of_a_backup,
        of_the_mark_of_a_run,
        of_positions,
        of_the_intent_of_a_pull,
        of_the_intent_of_a_batch,
        of_a_version_of_the_lake,
        of_the_labels_of_the_lake,
        of_the_targets_of_a_project,
        of_a_service,
        of_the_trials_of_a_search,
    ],
)
def test_a_version_that_is_not_known_is_refused_with_both_named(
    tmp_path: Path, write: Callable[[Path], Stored]
) -> None:
    file, read = write(tmp_path)
    read()
    known = 2 if write is of_a_bundle else 1
    version = 9 if file.suffix == ".tar" else 999  # of as many digits as its header tells
    with_version(file, version)
    with pytest.raises(MlopsError) as refused:
        read()
    if isinstance(refused.value, ConfigError):
        assert refused.value.path == "version"
        assert refused.value.value == version
        assert refused.value.allowed.startswith("1, the format that this version of mlops reads")
    else:
        assert f"is of format {version}; this version of mlops reads format {known}" in str(refused.value)
        assert file.name in str(refused.value) or file.parent.name in str(refused.value)
