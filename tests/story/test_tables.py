"""Somebody's table, from `mlops init` to a retrained model: four real ones, told at the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pytest

from mlops.files.ports import free_port
from mlops.ledger.entry import Entry
from mlops.ledger.record import Record
from mlops.ledger.records import (
    DriftChecked,
    GateJudged,
    ModelPromoted,
    ModelRegistered,
    RetrainFinished,
    RetrainRefused,
    RetrainStarted,
)
from mlops.project.context import Project
from tests import tables
from tests.flows.orchard import PORTS, Told, mlops
from tests.patience import until

pytestmark = pytest.mark.timeout(600)


R = TypeVar("R", bound=Record)


@dataclass(frozen=True)
class Case:
    """A table, how it is written, and what a person says of it.

    Parameters
    ----------
    history, more, served
        Rows to begin with, rows that are ingested later, and rows that are asked about, by position.
    late
        Of these, how many are judged before any label came.
    """

    table: Callable[[], pd.DataFrame]
    file: str
    words: tuple[str, ...]
    task: str
    history: int
    more: int
    served: int
    by: str
    late: int = 0


CASES = {
    "rain": Case(
        tables.rain, "rain.parquet", ("--target", "rain_next", "--time", "time_hour"), "binary",
        4000, 1500, 2000, "key", late=1000,
    ),
    "weather": Case(
        tables.weather, "weather.csv", ("--target", "weather"), "multiclass", 700, 300, 400, "id"
    ),
    "diamonds": Case(
        tables.diamonds, "diamonds.csv.gz", ("--target", "price"), "regression", 50_000, 1000, 2500, "key"
    ),
    "cells": Case(tables.cells, "cells.jsonl", ("--target", "malignant"), "binary", 300, 100, 150, "id"),
}  # fmt: skip


@dataclass(frozen=True)
class Person:
    """Somebody at a command line, in a folder of their own."""

    case: Case
    root: Path

    def do(self, *words: str, codes: tuple[int, ...] = (0,)) -> Told:
        told = mlops(self.root, *words)
        assert told.code in codes, f"mlops {' '.join(words)}: {told.code}\n{told.out}\n{told.err}"
        return told

    def write(self, frame: pd.DataFrame, name: str) -> str:
        path = self.root.parent / name
        if path.suffix == ".parquet":
            frame.to_parquet(path)
        elif path.suffix == ".jsonl":
            frame.to_json(path, orient="records", lines=True)
        else:
            frame.to_csv(path, index=False)
        return str(path)

    def ledger(self, kind: type[R]) -> list[Entry[R]]:
        return Project.at(self.root).ledger.entries(kind)

    def retrained(self) -> list[Entry[ModelRegistered]]:
        """What a retraining registered, not a person's training."""
        started = {entry.id for entry in self.ledger(RetrainStarted)}
        return [entry for entry in self.ledger(ModelRegistered) if entry.cause in started]


# The smallest is told with every run of the tests, the others by `make story`.
@pytest.fixture(
    params=[name if name == "cells" else pytest.param(name, marks=pytest.mark.story) for name in CASES]
)
def person(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Person]:
    root = tmp_path / request.param
    root.mkdir()
    (root / ".env").write_text(
        "".join(f"MLOPS_{port}={free_port()}\n" for port in PORTS) + "MLOPS_RECONCILE_EVERY=1\n"
    )
    person = Person(CASES[request.param], root)
    yield person
    mlops(root, "down", "--serving")


def test_a_table_becomes_a_loop(person: Person) -> None:
    case = person.case
    whole = case.table()
    history, rest = whole[: case.history], whole[case.history :]
    more, served = rest[: case.more], rest[case.more : case.more + case.served]

    begun = json.loads(person.do("init", person.write(history, case.file), *case.words, "--json").out)
    assert (begun["task"], begun["rows"]) == (case.task, case.history)
    _served_by_a_process(person.root)

    person.do("train")  # nothing was started yet
    person.do("deploy")
    if case.file == "cells.jsonl":
        _predicts_by_a_threshold(person, more[:20].drop(columns=case.words[1]))
    person.do("ingest", person.write(more, f"more-{case.file}"))
    person.do("train", codes=(0, 3))
    person.do("deploy")

    second, champion = person.ledger(GateJudged)[-1].record, person.ledger(ModelPromoted)[0].record
    assert second.comparison is not None, second.sentence
    assert ("Not fresh" in second.sentence) is not second.is_fresh
    if begun["time"]:
        assert second.is_fresh
        assert second.window is not None
        assert champion.fitted_until is not None
        assert second.window.start >= champion.fitted_until

    target = case.words[1]
    questions = served.drop(columns=target)
    if case.late:
        _asked(person, questions[: case.late])
        _judged_without_labels(person)
    answers = _asked(person, questions[case.late :])
    names = {"id": [answer["id"] for answer in answers]} if case.by == "id" else served[[begun["key"]]]
    labels = pd.DataFrame(names).assign(**{target: served[target].to_numpy()})
    person.do("labels", "add", person.write(labels, f"labels-{case.file}"), "--by", case.by)

    # Rows without a time are of now; two days later their labels count as all there.
    as_of = () if begun["time"] else ("--as-of", (datetime.now(UTC) + timedelta(days=2)).isoformat())
    person.do("monitor", *as_of)
    if not person.ledger(DriftChecked)[-1].record.confirmed:
        person.do("retrain", *as_of, codes=(0, 3))
    [registered] = until("model that a retraining made", person.retrained, patience=240)
    finished = until("retraining's end", lambda: person.ledger(RetrainFinished))
    assert finished[-1].record.started == registered.cause
    assert [judged.cause for judged in person.ledger(GateJudged)][-1] == registered.id

    status = json.loads(person.do("status", "--json").out)
    promoted = person.ledger(ModelPromoted)[-1].record
    assert status["serving"]["digest"] == promoted.digest
    assert json.loads(person.do("reproduce", str(promoted.version), "--verify", "--json").out)["identical"]
    _keeps_its_promises(person.root)


def _predicts_by_a_threshold(person: Person, questions: pd.DataFrame) -> None:
    """Missing a malignant cell is dearer: the same model comes to predict it from a lower score on."""
    params = person.root / "params.yaml"
    scores = [float(answer["score"]) for answer in _asked(person, questions)]
    threshold = float(np.quantile(scores, 0.25))
    assert any(threshold <= score < 0.5 for score in scores)
    params.write_text(
        params.read_text().replace("  task: binary", f"  threshold: {threshold}\n  task: binary")
    )
    person.do("train")
    judged = person.ledger(GateJudged)[-1].record
    assert (judged.outcome, judged.promote) == ("decision_changed", True), judged.sentence
    person.do("deploy")
    answers = _asked(person, questions)
    assert [answer["score"] for answer in answers] == scores  # nothing else was learnt
    positive = {answer["prediction"] for answer in answers if float(answer["score"]) >= threshold}
    negative = {answer["prediction"] for answer in answers if float(answer["score"]) < threshold}
    assert (len(positive), len(negative), positive & negative) == (1, 1, set())


def _judged_without_labels(person: Person) -> None:
    """While no label came, nobody knows how good the answers are, and nothing is learnt from them."""
    person.do("monitor")
    [checked] = person.ledger(DriftChecked)
    quality = checked.record.report.quality
    assert quality is not None
    assert (quality.state, quality.coverage) == ("unknown", 0.0)
    if not checked.record.confirmed:
        person.do("retrain", codes=(3,))
    until("refusal", lambda: person.ledger(RetrainRefused))
    assert person.retrained() == []


def _served_by_a_process(root: Path) -> None:
    """Containers have a story of their own."""
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("target: auto", "target: process"))


def _asked(person: Person, rows: pd.DataFrame) -> list[dict[str, Any]]:
    told = person.do("predict", person.write(rows, f"asked-{person.case.file}"))
    answers = [json.loads(line) for line in told.out.splitlines()]
    assert len(answers) == len(rows)
    return answers


def _keeps_its_promises(root: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    clean = subprocess.run(
        [sys.executable, "-m", "dvc", "status"], cwd=root, capture_output=True, text=True, check=False
    )
    assert "up to date" in clean.stdout, clean.stdout
