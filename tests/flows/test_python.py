"""A project that has run: what its documentation and its notebook do from Python, they do."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import nbformat
import pandas as pd
import pytest

import mlops
from tests.documentation import loaded
from tests.flows.orchard import Closed

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "python.md"


def snippets(path: Path) -> list[str]:
    """The Python of a page, in its order."""
    return re.findall(
        r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
    )


def test_every_snippet_of_the_page_runs(closed: Closed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(closed.orchard.root)
    names: dict[str, object] = {}
    with contextlib.redirect_stdout(io.StringIO()) as out:
        for snippet in snippets(PAGE):
            exec(compile(snippet, PAGE.name, "exec"), names)
    assert len(names["log"]) > 0  # type: ignore[arg-type]
    assert "has no version" in out.getvalue()
    assert "'model_version'" in out.getvalue()


def test_the_readmes_lines_run(closed: Closed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(closed.orchard.root)
    (lines,) = [text for text in snippets(ROOT / "README.md") if "mlops.open" in text]
    exec(compile(lines, "README.md", "exec"), {})


def test_the_notebook_runs(closed: Closed, tmp_path: Path) -> None:
    """Where the clone has its demo, a copy beside it finds this project."""
    (tmp_path / ".demo").symlink_to(closed.orchard.root)
    folder = tmp_path / "docs" / "notebooks"
    folder.mkdir(parents=True)
    done = loaded("notebook").run(closed.orchard.root, folder)
    drawn = [
        output
        for cell in done.cells
        for output in cell.get("outputs", [])
        if "image/png" in output.get("data", {})
    ]
    assert len(drawn) == 2
    shown = nbformat.writes(done)
    assert ">.demo<" in shown
    assert str(closed.orchard.root.resolve()) not in shown


def test_the_tables_say_what_happened(closed: Closed) -> None:
    project = closed.orchard.project
    windows, versions, decisions = project.windows(), project.versions(), project.decisions()
    confirmed = windows[windows["end"] == pd.Timestamp(closed.drift.as_of)]
    assert confirmed["confirmed"].all()
    assert "size" in confirmed.loc[confirmed["verdict"] == "drift", "column"].tolist()
    assert confirmed["loss"].iloc[0] > confirmed["reference_loss"].iloc[0]
    assert project.champion.version == versions.index[versions["promoted_at"].argmax()]
    assert versions.loc[project.champion.version, "difference"] < 0
    assert versions.loc["1", "served_to"] == versions.loc[project.champion.version, "served_from"]
    assert decisions["cause"].dropna().isin(decisions.index).all()


def test_a_version_of_the_data_is_read_as_training_read_it(closed: Closed) -> None:
    project = closed.orchard.project
    log = project.data.log()
    assert "1" in [model for models in log["models"] for model in models]
    oldest, newest = project.data.read(log.index[-1]), project.data.read(log.index[0])
    assert len(oldest) < len(newest) <= log["rows"].iloc[0]
    assert oldest["picked"].is_monotonic_increasing
    # The loop's newest version is on its branch; what the person has checked out stays.
    assert project.data.read().equals(project.data.read(log.index[log["current"]][0]))
    assert project.data.read("model:1")["picked"].max() < newest["picked"].max()


def test_an_unknown_version_of_the_data_is_named(closed: Closed) -> None:
    with pytest.raises(mlops.errors.UsageError, match="'nowhere' is no version of the data"):
        closed.orchard.project.data.read("nowhere")


def test_nothing_of_it_needs_a_server(closed: Closed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The addresses of other servers, where none answers: what is read is the same."""
    here = closed.orchard.project
    for name in ("MLFLOW_TRACKING_URI", "PREFECT_API_URL"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    away = mlops.open(here.folder.root)
    assert away.folder.mlflow_uri == "http://127.0.0.1:9"
    rows = away.predictions(labels=True).head(50)
    assert away.champion.predict(rows).equals(here.champion.predict(rows))
    assert away.versions().equals(here.versions())
    assert away.windows().equals(here.windows())
    assert "serving version" in repr(away)
