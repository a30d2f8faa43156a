"""A project from Python, with none of its servers running."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

import mlops
from mlops.errors import MissingColumnError, NothingPromotedError, UnavailableError, UsageError
from tests.ripening import BEGIN, LABELLED, PARAMS, SERVED, contents, plums, ripening


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ripening(tmp_path_factory.mktemp("ripening") / "plums")


@pytest.fixture
def project(root: Path) -> mlops.Project:
    return mlops.open(root)


@pytest.fixture
def empty(tmp_path: Path) -> mlops.Project:
    (tmp_path / "params.yaml").write_text(PARAMS)
    return mlops.open(tmp_path)


def test_a_project_is_opened_from_a_folder_within_it(root):
    assert mlops.open(root / ".mlops" / "bundles").folder.root == root
    assert mlops.open(str(root)).folder.root == root


def test_what_is_no_project_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"is not in a project: no params\.yaml"):
        mlops.open(tmp_path)


def test_the_champion_predicts_rows_in_rows_out(project):
    rows = plums().sample(7, random_state=0)
    predicted = project.champion.predict(rows)
    assert predicted.index.equals(rows.index)
    assert list(predicted) == ["prediction", "score"]
    assert ((predicted["score"] > 0.5) == (predicted["prediction"] == 1)).all()
    assert project.champion.predict(rows.assign(note="left alone")).equals(predicted)


def test_the_champion_predicts_what_its_service_would(project):
    golden = project.champion.bundle.golden
    expected = golden["predictions"]
    predicted = project.champion.predict(pd.DataFrame(golden["rows"]))
    assert predicted["prediction"].tolist() == [row["prediction"] for row in expected]
    assert predicted["score"].tolist() == pytest.approx([row["score"] for row in expected], abs=1e-6)


def test_no_rows_are_predicted_as_no_rows(project):
    assert list(project.champion.predict(plums().head(0))) == ["prediction", "score"]


def test_a_missing_column_is_named(project):
    with pytest.raises(MissingColumnError, match="has no column colour") as refused:
        project.champion.predict(plums().drop(columns="colour"))
    assert refused.value.missing == ("colour",)


def test_a_value_that_cannot_be_used_is_named(project):
    with pytest.raises(mlops.errors.DataError, match="size holds 'big' in row 3"):
        project.champion.predict(plums().astype({"size": object}).replace({"size": {3.0: "big"}}))


def test_another_version_is_another_model(project):
    rows = plums()
    first, champion = project.version("1"), project.champion
    assert (first.version, champion.version) == ("1", "2")
    assert not first.predict(rows).equals(champion.predict(rows))
    assert project.version(2).predict(rows).equals(champion.predict(rows))


def test_a_version_knows_what_it_was_trained_on_and_when_it_served(project):
    facts = project.version("1").facts
    assert (facts.trained_rows, facts.holdout_rows) == (1200, 300)
    assert facts.trained_until == BEGIN - timedelta(days=40)
    assert (facts.metric, facts.holdout_loss, facts.baseline_loss) == ("log_loss", 0.41, 0.69)
    assert (facts.commit, facts.data_version) == ("1" * 40, "d" * 32)
    assert facts.served_to == project.champion.facts.served_from
    assert project.champion.facts.served_to is None
    assert facts.gate == "promoted"
    assert facts.champion_loss is None
    assert (project.champion.facts.champion_loss, project.champion.facts.high) == (0.52, -0.1)


def test_an_unknown_version_is_named_with_those_there_are(project):
    with pytest.raises(
        UsageError, match=r"Model plums has no version '7'. Its versions: 2, 1\..*versions\(\)"
    ):
        project.version("7")


def test_a_project_without_a_model_says_what_to_do(empty):
    with pytest.raises(NothingPromotedError, match="mlops train"):
        empty.champion  # noqa: B018
    with pytest.raises(UsageError, match=r"Its versions: none\. Train one"):
        empty.version("1")


def test_a_bundle_that_is_gone_comes_from_mlflow_or_says_that_it_does_not_answer(tmp_path):
    import shutil

    root = ripening(tmp_path / "plums")
    (root / ".env").write_text("MLOPS_MLFLOW_PORT=9\n")
    shutil.rmtree(root / ".mlops" / "bundles")
    project = mlops.open(root)
    assert project.versions()["trained_rows"].isna().all()
    with pytest.raises(UnavailableError, match="MLflow does not respond"):
        project.champion.predict(plums())


def test_the_predictions_have_their_labels_beside_them(project):
    log = project.predictions(labels=True)
    assert len(log) == SERVED
    assert log["ripe"].notna().sum() == LABELLED
    assert "ripe" not in project.predictions()
    assert {"size", "colour", "prediction", "score", "version"} <= set(log)
    assert (
        log.set_index("key")["ripe"].dropna() == (plums().set_index("plum")["size"].head(LABELLED) > 4)
    ).all()


@pytest.mark.parametrize(
    ("since", "until", "rows"),
    [
        ("2026-01-11", None, 10),
        (None, "2026-01-11", 10),
        (datetime(2026, 1, 2), "2026-01-03T00:00+00:00", 1),
        ("2026-01-02T00:00+02:00", pd.Timestamp("2026-01-03"), 1),
        ("2026-02-01", None, 0),
    ],
)
def test_the_predictions_of_a_time_are_half_open_and_in_utc(project, since, until, rows):
    assert len(project.predictions(since=since, until=until)) == rows


def test_what_is_no_time_is_refused(project):
    with pytest.raises(UsageError, match="'yesterday' is not a time"):
        project.predictions(since="yesterday")


def test_logged_rows_can_be_predicted_again(project):
    log = project.predictions()
    assert project.version("1").predict(log)["prediction"].tolist() == log["prediction"].tolist()


def test_the_windows_have_a_row_per_column_and_their_quality_in_each(project):
    windows = project.windows()
    assert windows["column"].tolist() == ["size", "colour"]
    size = windows.iloc[0]
    assert (size["value"], size["threshold"], size["verdict"]) == (0.4, 0.1, "drift")
    assert size["statistic"] == "Wasserstein distance (normed)"
    assert (size["end"], size["version"], size["rows"]) == (pd.Timestamp(BEGIN + timedelta(days=20)), "1", 20)
    assert (windows["loss"].tolist(), windows["reference_loss"].tolist()) == ([0.52] * 2, [0.41] * 2)
    assert windows["quality"].tolist() == ["worse"] * 2
    assert windows["worse_than"].tolist() == ["training"] * 2
    assert windows["baseline_loss"].tolist() == [0.69] * 2
    assert windows["value"].isna().tolist() == [False, True]


def test_the_decisions_lead_back_to_their_causes(project):
    decisions = project.decisions()
    assert decisions["kind"].iloc[-1] == "deployment.served"
    promoted = decisions.loc[decisions["cause"].iloc[-1]]
    judged = decisions.loc[promoted["cause"]]
    assert (promoted["kind"], judged["kind"]) == ("model.promoted", "gate.judged")
    assert judged["figures"]["comparison"]["difference"] == -0.16
    assert "0.3600 vs champion 0.5200" in judged["sentence"]
    assert str(decisions["time"].dtype).endswith("UTC]")
    checked = decisions[decisions["kind"] == "drift.checked"].iloc[0]
    assert checked["as_of"] == pd.Timestamp(BEGIN + timedelta(days=20))


def test_the_versions_are_a_row_each(project):
    versions = project.versions()
    assert versions.index.tolist() == ["1", "2"]
    assert versions["trained_rows"].tolist() == [1200, 1200]
    assert versions["holdout_loss"].tolist() == [0.41, 0.36]
    assert versions["gate"].tolist() == ["promoted", "promoted"]
    assert versions["served_to"].isna().tolist() == [False, True]


def test_a_damaged_bundle_costs_its_versions_facts_and_no_more(tmp_path):
    root = ripening(tmp_path / "plums")
    for manifest in root.glob(".mlops/bundles/*/manifest.json"):
        manifest.write_text("")
    versions = mlops.open(root).versions()
    assert versions["trained_rows"].isna().all()
    assert versions["gate"].tolist() == ["promoted", "promoted"]


def test_an_empty_project_has_empty_tables_of_the_same_columns(project, empty):
    for method in ("windows", "decisions", "versions", "predictions"):
        nothing, something = getattr(empty, method)(), getattr(project, method)()
        assert len(nothing) == 0
        assert list(nothing) == list(something)
        times = [name for name in something if str(something[name].dtype).startswith("datetime")]
        assert [str(nothing[name].dtype)[:10] for name in times] == ["datetime64"] * len(times)


def test_reading_changes_nothing(root, empty):
    before = contents(root)
    project = mlops.open(root)
    project.champion.predict(plums())
    project.predictions(labels=True)
    project.windows(), project.decisions(), project.versions(), repr(project), project._repr_html_()
    assert contents(root) == before
    empty.windows(), empty.decisions(), empty.versions(), empty.predictions(labels=True), repr(empty)
    assert list(contents(empty.folder.root)) == ["params.yaml"]


def test_the_repr_says_what_serves(project, empty):
    assert "Project plums" in repr(project)
    assert "version 2, since 2026-03-01" in repr(project)
    assert "Drift is confirmed" in repr(project)
    assert "nothing yet: `mlops train`" in repr(empty)
    assert "trained on 1,200 rows, from" in repr(project.champion)
    assert "log loss 0.3600, baseline 0.6900" in repr(project.champion)


def test_a_project_that_cannot_be_read_still_has_a_repr(tmp_path):
    (tmp_path / "params.yaml").write_text("data: 3\n")
    assert "params.yaml: data" in repr(mlops.open(tmp_path))


def test_what_a_notebook_shows_is_escaped(tmp_path):
    root = ripening(tmp_path / "<b>plums")
    shown = mlops.open(root)._repr_html_()
    assert "&lt;b&gt;plums" in shown
    assert "<b>plums" not in shown.replace("<b>Project plums", "")
    assert "<table>" in mlops.open(root).champion._repr_html_()
    assert "<script>" not in mlops.Schema({"<script>": "number"}, "y", "binary")._repr_html_()
