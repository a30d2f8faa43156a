"""Bad input while every part runs: the verb names the thing and the way out, and nothing is half done."""

from __future__ import annotations

import json

from mlops.adapters.git.worktree import Tree
from mlops.files.ports import free_port
from tests.flows.orchard import Orchard, plums


def rows(orchard: Orchard) -> int:
    return len(orchard.project.ledger.entries())


def test_a_table_without_a_column_is_not_ingested(trained: Orchard) -> None:
    file = trained.root / ".mlops" / "short.csv"
    plums(400, 1, season=0).drop(columns="heat").to_csv(file, index=False)
    before, head = rows(trained), Tree(trained.root).head()
    told = trained.mlops("ingest", str(file), "--json")
    assert told.code == 1
    said = json.loads(told.out)
    assert "heat" in said["error"]
    assert "size" in said["error"]
    assert "params.yaml" in said["remedy"]
    assert (rows(trained), Tree(trained.root).head()) == (before, head)
    assert Tree(trained.root).is_clean(["data"])


def test_labels_for_unknown_plums_are_not_added(served: Orchard) -> None:
    file = served.root / ".mlops" / "unknown.csv"
    file.write_text("plum,ripe\nnobody-1,True\nnobody-2,False\n")
    before = list(served.project.folder.labels.glob("*"))
    told = served.mlops("labels", "add", str(file))
    assert told.code == 1
    assert "nobody-1" in told.err
    assert "--skip-unknown" in told.err
    assert "Traceback" not in told.err
    assert list(served.project.folder.labels.glob("*")) == before


def test_a_window_in_which_nothing_was_served_is_not_judged(served: Orchard) -> None:
    before = rows(served)
    told = served.mlops("monitor", "--as-of", "2020-01-01")
    assert told.code == 1
    assert "2020-01-01" in told.err
    assert "--as-of" in told.err
    assert "Traceback" not in told.err
    assert rows(served) == before


def test_with_mlflow_away_training_says_so_and_goes_on_later(trained: Orchard) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    before = rows(trained)
    # Where nothing changed it would not ask MLflow.
    told = trained.mlops("train", "--force", "--json", environment={"MLFLOW_TRACKING_URI": away})
    assert told.code == 1
    said = json.loads(told.out)
    assert "MLflow" in said["error"]
    assert away in said["error"]
    assert "mlops up" in said["remedy"]
    assert told.seconds < 120  # MLflow's own client would wait for 246 s
    assert rows(trained) == before
