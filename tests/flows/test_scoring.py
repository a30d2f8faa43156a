"""A whole table scored: what is written, what is logged, and what becomes of a scoring that was killed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from mlops.config.project_folder import ProjectFolder
from mlops.config.settings import Settings
from mlops.deployment.client import Client
from mlops.errors import (
    ConflictError,
    DataError,
    MissingColumnError,
    MlopsError,
    NothingPromotedError,
    UsageError,
)
from mlops.ledger.entry import Entry
from mlops.ledger.records import ScoringStarted, TableScored
from mlops.model.predictor import load
from mlops.orchestration.tasks import score as scoring
from mlops.prediction_log import reader
from mlops.project.context import Project
from mlops.project.why import trace
from mlops.rows import parse_rows
from mlops.tables.writers import Destination
from tests.flows.orchard import Orchard, plums
from tests.ledger_rows import promoted
from tests.tiny import ROWS, SCHEMA, tiny_bundle

PARAMS = """\
data:
  name: plums
  target: ripe
  key: plum
  features:
    size: number
    colour: category

model:
  builder: models/plums/model.py
  task: binary
"""

TABLE = pd.DataFrame(ROWS).assign(note=[f"n{i}" for i in range(len(ROWS))])
READ: dict[str, Callable[[Path], pd.DataFrame]] = {
    "csv": lambda path: pd.read_csv(path, dtype={"plum": str}),
    "parquet": pd.read_parquet,
    "jsonl": lambda path: pd.read_json(path, lines=True, dtype=False),
}


def write(table: pd.DataFrame, path: Path) -> Path:
    if path.name.endswith((".csv", ".csv.gz")):
        table.to_csv(path, index=False)
    elif path.suffix == ".parquet":
        table.to_parquet(path)
    else:
        table.to_json(path, orient="records", lines=True)
    return path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A project with a champion, whose servers do not run; tables are read six rows at a time."""
    monkeypatch.setattr(scoring, "_BATCH", 6)
    (tmp_path / "params.yaml").write_text(PARAMS)
    project = Project(ProjectFolder(tmp_path, Settings()))
    yield project
    project.ledger.close()


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two models, by their version."""
    folder = tmp_path_factory.mktemp("bundles")
    return {
        "3": tiny_bundle(folder / "3").folder,
        "4": tiny_bundle(folder / "4", strength=0.01).folder,
    }


@pytest.fixture
def champion(project: Project, bundles: dict[str, Path]) -> Entry:
    return promote(project, bundles, "3")


def promote(project: Project, bundles: dict[str, Path], version: str) -> Entry:
    bundle = project.keep_bundle(bundles[version])
    return promoted(project.ledger, version=version, digest=bundle.digest)


def score(project: Project, table: Path | None, destination: Path | None, *, logged: bool = True) -> str:
    """The flow's steps, as functions."""
    root = project.folder.root
    with scoring.exclusive(root):
        wanted = scoring.find.fn(root, table, destination)  # type: ignore[attr-defined]
        rows = scoring.predict.fn(root, wanted, logged=logged)  # type: ignore[attr-defined]
        return str(scoring.publish.fn(root, wanted, rows, logged=logged))  # type: ignore[attr-defined]


def logged(project: Project) -> pd.DataFrame:
    return reader.read(project.folder.predictions, SCHEMA)


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()


@pytest.mark.parametrize("given", ["april.csv", "april.csv.gz", "april.parquet", "april.jsonl"])
@pytest.mark.parametrize("wanted", ["csv", "parquet", "jsonl"])
def test_every_format_is_read_and_written(
    project: Project, champion: Entry, tmp_path: Path, given: str, wanted: str
) -> None:
    out = tmp_path / "scores" / f"april.{wanted}"
    said = score(project, write(TABLE, tmp_path / given), out)
    assert said == f"20 rows of {given} scored by version 3 into scores/april.{wanted}."
    answers = load(project.bundle_of(champion)).predict(parse_rows(ROWS, SCHEMA))
    written = READ[wanted](out)
    pd.testing.assert_frame_equal(written[list(TABLE)], TABLE, check_dtype=False)
    assert written["prediction"].tolist() == answers.values
    assert written["score"].tolist() == pytest.approx(answers.scores)
    assert written["prediction_id"].is_unique
    assert set(written["model_version"].astype(str)) == {"3"}
    assert files(out.parent) == {out.name}


def test_the_log_holds_the_rows_as_the_service_would_have_written_them(
    project: Project, champion: Entry, tmp_path: Path
) -> None:
    out = tmp_path / "out.parquet"
    score(project, write(TABLE, tmp_path / "april.parquet"), out)
    written = pd.read_parquet(out).set_index("prediction_id")
    found = reader.find(project.folder.predictions, written.index[7])
    assert found is not None
    assert found["features"] == {"size": 7.0, "colour": "green"}
    assert (found["key"], found["version"]) == ("7", "3")
    assert found["score"] == written["score"].iloc[7]
    assert set(logged(project)["id"]) == set(written.index)
    traced = trace(project, written.index[7])
    chain = ["scoring.started", "model.promoted", "gate.judged", "model.registered"]
    assert [entry.kind for entry in traced.lineage.chain] == chain
    assert f"scored from {tmp_path / 'april.parquet'}" in traced.text()


def test_the_same_table_again_is_written_again_and_not_logged_twice(
    project: Project, champion: Entry, tmp_path: Path
) -> None:
    table, out = write(TABLE, tmp_path / "april.parquet"), tmp_path / "out.parquet"
    score(project, table, out)
    before, content = logged(project), out.read_bytes()
    out.unlink()
    reader.compact(project.folder.predictions, SCHEMA)
    said = score(project, write(TABLE, tmp_path / "renamed.parquet"), out)
    assert "logged then, and not again" in said
    assert out.read_bytes() == content
    pd.testing.assert_frame_equal(logged(project), before)
    assert len(project.ledger.entries(TableScored)) == 1
    assert files(project.folder.predictions / "staged") == set()


def test_another_promotion_is_another_scoring(
    project: Project, champion: Entry, bundles: dict[str, Path], tmp_path: Path
) -> None:
    table = write(TABLE, tmp_path / "april.csv")
    score(project, table, tmp_path / "scores")
    promote(project, bundles, "4")
    score(project, table, tmp_path / "scores")
    assert files(tmp_path / "scores") == {"april-v3.csv", "april-v4.csv"}
    assert len(logged(project)) == 2 * len(TABLE)
    assert len(set(logged(project)["id"])) == 2 * len(TABLE)
    # And so is the same model, promoted a second time.
    promote(project, bundles, "3")
    score(project, table, tmp_path / "scores")
    assert len(set(logged(project)["id"])) == 3 * len(TABLE)


def test_without_the_log_the_table_alone_is_written(
    project: Project, champion: Entry, tmp_path: Path
) -> None:
    table, out = write(TABLE, tmp_path / "april.csv"), tmp_path / "out.csv"
    assert "not in the prediction log" in score(project, table, out, logged=False)
    ids = set(pd.read_csv(out)["prediction_id"])
    assert logged(project).empty
    score(project, table, out)
    assert set(logged(project)["id"]) == ids
    assert [entry.record.logged for entry in project.ledger.entries(TableScored)] == [False, True]


class KilledError(BaseException):
    """The process ends here."""


def dies(*_args: Any, **_more: Any) -> None:
    raise KilledError


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("adopted", [0, 1, 3, 4])
def test_killed_while_it_is_logged_it_converges(
    project: Project,
    champion: Entry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    adopted: int,
    compacted: bool,
) -> None:
    table, out = write(TABLE, tmp_path / "april.parquet"), tmp_path / "out.parquet"
    commit = scoring.segment.commit

    def in_part(folder: Path, staged: list[Path]) -> None:
        assert len(staged) == 4
        commit(folder, staged[:adopted])
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(scoring.segment, "commit", in_part)
        with pytest.raises(KilledError):
            score(project, table, out)
    assert not out.exists()
    assert len(logged(project)) == min(6 * adopted, 20)
    if compacted:
        reader.compact(project.folder.predictions, SCHEMA)
    score(project, table, out)
    assert sorted(logged(project)["id"]) == sorted(pd.read_parquet(out)["prediction_id"])
    assert len(project.ledger.entries(ScoringStarted)) == len(project.ledger.entries(TableScored)) == 1
    assert files(project.folder.predictions / "staged") == set()


@pytest.mark.parametrize("point", ["publish", "close"])
def test_killed_elsewhere_it_converges(
    project: Project, champion: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    table, out = write(TABLE, tmp_path / "april.csv"), tmp_path / "out.csv"
    with monkeypatch.context() as patch:
        patch.setattr(Destination, point, dies)
        patch.setattr(Destination, "discard", lambda _self: None)
        with pytest.raises(KilledError):
            score(project, table, out)
    assert not out.exists()
    score(project, table, out)
    assert sorted(logged(project)["id"]) == sorted(pd.read_csv(out)["prediction_id"])
    assert not [name for name in files(tmp_path) if name.endswith(".tmp")]


def refused(project: Project, table: Path, out: Path, error: type[MlopsError], said: str) -> None:
    """The scoring is refused, and nothing of it is anywhere."""
    before, rows = files(table.parent), len(project.ledger.entries())
    with pytest.raises(error, match=said):
        score(project, table, out)
    assert files(table.parent) - {".mlops"} == before - {".mlops"}
    assert logged(project).empty
    assert files(project.folder.predictions / "staged") == set()
    assert len(project.ledger.entries()) == rows


@pytest.mark.parametrize("name", ["bad.csv", "bad.parquet", "bad.jsonl"])
def test_a_value_of_the_wrong_type_is_named_by_row_and_column(
    project: Project, champion: Entry, tmp_path: Path, name: str
) -> None:
    sizes: list[Any] = [str(size) for size in TABLE["size"]] if name == "bad.parquet" else list(TABLE["size"])
    sizes[13] = "large"
    table = write(TABLE.assign(size=sizes), tmp_path / name)
    # In Parquet too, where the sizes are text: those that spell a number are read.
    said = "size holds 'large' in row 13, which is not a number"
    refused(project, table, tmp_path / "out.csv", DataError, said)


def test_a_missing_column_is_named(project: Project, champion: Entry, tmp_path: Path) -> None:
    table = write(TABLE.drop(columns="colour"), tmp_path / "short.csv")
    refused(project, table, tmp_path / "out.csv", MissingColumnError, "no column colour")


def test_a_table_that_has_an_answer_already_is_refused(
    project: Project, champion: Entry, tmp_path: Path
) -> None:
    table = write(TABLE.assign(score=0.5), tmp_path / "scored.csv")
    refused(project, table, tmp_path / "out.csv", DataError, "already has a column score")


def test_a_table_is_never_written_over(project: Project, champion: Entry, tmp_path: Path) -> None:
    table = write(TABLE, tmp_path / "april.csv")
    refused(project, table, tmp_path / "x" / ".." / "april.csv", UsageError, "is the table to score")
    assert len(pd.read_csv(table)) == 20


def test_a_destination_of_no_known_format_is_refused(
    project: Project, champion: Entry, tmp_path: Path
) -> None:
    table = write(TABLE, tmp_path / "april.csv")
    refused(project, table, tmp_path / "out.xlsx", UsageError, "not a table: unknown suffix")


def test_a_destination_that_cannot_be_written_is_named(
    project: Project, champion: Entry, tmp_path: Path
) -> None:
    table = write(TABLE, tmp_path / "april.csv")
    refused(project, table, table / "out.csv", MlopsError, r"out\.csv cannot be written")


def test_a_table_that_changes_meanwhile_is_refused(
    project: Project, champion: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = write(TABLE, tmp_path / "april.csv")
    close = Destination.write

    def grows(self: Destination, frame: pd.DataFrame) -> None:
        close(self, frame)
        table.write_text(table.read_text() + "1,red,late,x\n")

    monkeypatch.setattr(Destination, "write", grows)
    refused(project, table, tmp_path / "out.csv", DataError, "changed while it was scored")


def test_without_a_champion_there_is_nobody_to_answer(project: Project, tmp_path: Path) -> None:
    with pytest.raises(NothingPromotedError):
        score(project, write(TABLE, tmp_path / "april.csv"), tmp_path / "out.csv")


def test_what_is_not_given_is_what_params_name(project: Project, champion: Entry, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"score\.source in params\.yaml"):
        score(project, None, None)
    (tmp_path / "params.yaml").write_text(f"{PARAMS}score:\n  source: in.csv\n  destination: out/\n")
    write(TABLE, tmp_path / "in.csv")
    assert score(Project.at(tmp_path), None, None).endswith("into out/in-v3.csv.")


def test_a_second_scoring_waits_for_its_turn(project: Project, champion: Entry, tmp_path: Path) -> None:
    with scoring.exclusive(tmp_path), pytest.raises(ConflictError, match="being scored"):
        score(project, write(TABLE, tmp_path / "april.csv"), tmp_path / "out.csv")


def test_a_scored_table_says_what_the_gateway_says(served: Orchard) -> None:
    # Picked long before any window that is judged here.
    rows = plums(0, 1, season=0)
    rows = rows.assign(
        picked=rows["picked"] - pd.Timedelta(days=90), plum=[f"scored-{i}" for i in rows.index]
    )
    table, folder = served.root / ".mlops" / "autumn.parquet", served.root / ".mlops" / "scores"
    rows.drop(columns="ripe").to_parquet(table)
    told = served.mlops("score", str(table), f"{folder}/")
    assert told.code == 0, told.err
    out = folder / f"autumn-v{served.project.promoted().record.version}.parquet"
    assert told.out.startswith("40 rows of autumn.parquet scored by version ")
    assert told.out.endswith(f" into .mlops/scores/{out.name}.\n")
    written = pd.read_parquet(out)
    with Client(served.project.folder.address) as client:
        [answers] = client.predict_frame(rows, served.project.schema, batch=40)
    assert written["prediction"].tolist() == [answer["prediction"] for answer in answers]
    assert written["score"].tolist() == [answer["score"] for answer in answers]
    log = reader.read(served.project.folder.predictions, served.project.schema).set_index("id")
    asked, scored = (
        log.loc[ids].drop(columns=["at", "deployment"]).reset_index(drop=True)
        for ids in ([answer["id"] for answer in answers], written["prediction_id"])
    )
    pd.testing.assert_frame_equal(asked, scored)
    # The flow itself, a second time, leaves the log alone.
    assert "not again" in served.flow("score", source=table, destination=folder).text
    assert len(reader.ids(served.project.folder.predictions)) == len(log)
