"""`mlops init` at the command line: a project made of a table, and what it refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops.config.project_folder import load_params
from mlops.project import init
from tests.flows.orchard import Told

Say = Callable[..., Told]


@pytest.fixture
def customers(tmp_path: Path) -> Path:
    rng = np.random.default_rng(3)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 200, 500), "D")
    plan = rng.choice(["basic", "pro"], 500)
    table = pd.DataFrame(
        {
            "customer_id": [f"c{i}" for i in range(500)],
            "signed_up_at": days.strftime("%Y-%m-%d"),
            "age": rng.integers(18, 90, 500),
            "Plan Größe": plan,
            "churned": rng.random(500) < 0.2 + 0.4 * (plan == "basic"),
        }
    )
    file = tmp_path / "customers.csv"
    table.to_csv(file, index=False)
    return file


def git(folder: Path, *words: str) -> str:
    who = ("-c", "user.name=ada", "-c", "user.email=ada@example.org")
    done = subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and ".git/" not in str(path)
    }


def test_a_folder_becomes_a_project_whose_tests_pass(say: Say, tmp_path: Path, customers: Path) -> None:
    told = say(tmp_path / "churn", "init", str(customers), "--target", "churned")
    assert told.code == 0, told.err
    folder = tmp_path / "churn"
    params = load_params(folder / "params.yaml")
    assert params.data.name == "churn"
    assert (params.data.time, params.data.key, params.model.task) == ("signed_up_at", "customer_id", "binary")
    assert dict(params.data.features) == {"signed_up_at": "date", "age": "number", "Plan Größe": "category"}
    assert "mlops train && mlops up && mlops deploy" in told.out
    assert "500 rows" in told.out
    assert git(folder, "status", "--porcelain") == ""
    assert len(git(folder, "log", "--oneline").splitlines()) == 2
    assert (folder / "data" / "lake.dvc").is_file()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    again = say(folder, "init", str(customers), "--target", "churned")
    assert again.code == 2
    assert "is a project already" in again.err
    assert git(folder, "status", "--porcelain") == ""


def test_a_row_whose_time_is_none_is_set_aside(say: Say, tmp_path: Path, customers: Path) -> None:
    lines = customers.read_text(encoding="utf-8").splitlines(keepends=True)
    # As text the greatest, and the least that looks like a day.
    for row, time in ((7, "someday"), (450, "0000-13-77")):
        cells = lines[row].split(",")
        lines[row] = ",".join([cells[0], time, *cells[2:]])
    customers.write_text("".join(lines), encoding="utf-8")
    told = say(tmp_path / "churn", "init", str(customers), "--target", "churned", "--time", "signed_up_at")
    assert told.code == 0, told.err
    assert "2024-01-01 00:00 to 2024-07-" in told.out
    assert "498 rows added" in told.out
    assert "2 rows of customers.csv are in .mlops/quarantine/" in told.out


def test_text_that_looks_like_numbers_and_times_that_are_none_stop_no_project(
    say: Say, tmp_path: Path
) -> None:
    rng = np.random.default_rng(5)
    days = pd.date_range("2024-01-01", periods=400).strftime("%Y-%m-%d").to_list()
    table = pd.DataFrame(
        {
            "when": [*days[:399], "unknown"],
            "zip": [f"{n:05d}" for n in rng.integers(0, 30, 400)],
            "plan": pd.Categorical(rng.choice(["basic\nold", "pro"], 400)),
            "churned": [*(rng.random(396) < 0.3).tolist(), *([None] * 4)],
        }
    )
    file = tmp_path / "customers.parquet"
    table.to_parquet(file)
    told = say(tmp_path / "churn", "init", str(file), "--target", "churned", "--time", "when")
    assert told.code == 0, told.err
    params = load_params(tmp_path / "churn" / "params.yaml")
    assert dict(params.data.features) == {"when": "date", "zip": "category", "plan": "category"}
    assert "churned, binary, 1.0% of the rows without a label" in told.out
    assert "399 rows added" in told.out
    assert "when is not a time such as 2013-07-04T15:00:00Z (1)" in told.out


def test_the_contract_is_kept_by_all_of_a_table_of_which_a_sample_was_looked_at(
    say: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(init, "_SAMPLED", 500)
    monkeypatch.setattr(init, "_CHUNK", 900)
    rng, rows = np.random.default_rng(2), 4000
    table = pd.DataFrame(
        {
            "customer_id": [f"c{n // 2}" for n in range(rows)],  # a key of two neighbouring rows
            "visited": [day.date() for day in pd.date_range("2020-01-01", periods=rows // 4).repeat(4)],
            "spent": rng.gamma(2.0, 30.0, rows),
            "plan": rng.choice(["basic", "pro"], rows),
            "mood": rng.choice(["good", "bad"], rows),
        }
    )
    table.loc[1001, "spent"], table.loc[2003, "plan"] = 90_000.0, "gold"
    table.loc[[1501, 3333], "mood"] = "odd"
    file = tmp_path / "visits.parquet"
    table.to_parquet(file)
    told = say(tmp_path / "visits", "init", str(file), "--target", "mood", "--time", "visited")
    assert told.code == 0, told.err
    assert f"{rows:,} rows added" in told.out
    assert "quarantine" not in told.out
    assert "few rows of odd (1)" in told.out
    assert load_params(tmp_path / "visits" / "params.yaml").data.key is None


def test_what_a_folder_has_stays_and_only_ours_is_committed(
    say: Say, tmp_path: Path, customers: Path
) -> None:
    folder = tmp_path / "shop"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "trunk")
    (folder / "README.md").write_text("mine\n")
    (folder / ".gitignore").write_text("*.log")
    (folder / "draft.txt").write_text("not yet\n")
    git(folder, "add", "README.md", ".gitignore")
    git(folder, "commit", "-q", "-m", "Begin")
    git(folder, "add", "draft.txt")
    told = say(folder, "init", str(customers), "--target", "churned", "--json")
    assert told.code == 0, told.err
    assert json.loads(told.out)["kept"] == ["README.md"]
    assert (folder / "README.md").read_text() == "mine\n"
    assert (folder / ".gitignore").read_text().splitlines()[:2] == ["*.log", ".mlops/"]
    assert git(folder, "status", "--porcelain") == "A  draft.txt"
    assert git(folder, "branch", "--show-current") == "trunk"


@pytest.mark.parametrize("named", [("size", "age"), ("age, size",), ("age", "size")])
def test_columns_are_named_with_commas_or_one_by_one(
    say: Say, tmp_path: Path, customers: Path, named: tuple[str, ...]
) -> None:
    words = [word for each in named for word in ("--exclude", each)]
    told = say(tmp_path / "churn", "init", str(customers), "--target", "churned", *words)
    assert told.code == 2
    assert "no column 'size'" in told.err  # each was read: that of age is there


def test_a_file_in_our_place_is_not_overwritten(say: Say, tmp_path: Path, customers: Path) -> None:
    folder = tmp_path / "churn"
    folder.mkdir()
    (folder / "dvc.yaml").write_text("stages: {}\n")
    before = files(folder)
    told = say(folder, "init", str(customers), "--target", "churned")
    assert told.code == 2
    assert "holds a dvc.yaml already" in told.err
    assert files(folder) == before


@pytest.mark.parametrize("left", ["params.yaml", "dvc.yaml", ".git", "data/lake.dvc", "the commit"])
def test_killed_midway_the_same_command_finishes(
    say: Say, tmp_path: Path, customers: Path, left: str
) -> None:
    """What a killed run leaves is what a whole one made, less what comes after a point."""
    folder = tmp_path / "churn"
    words = ("init", str(customers), "--target", "churned")
    assert say(folder, *words).code == 0
    whole = {name: content for name, content in files(folder).items() if not name.startswith(".")}
    later = [".mlops", "data/lake.dvc"] if left == "data/lake.dvc" else [".mlops"]
    if left not in ("data/lake.dvc", "the commit"):
        later += ["data/lake.dvc", ".git", left]
    for path in later:
        subprocess.run(["rm", "-rf", str(folder / path)], check=True)
    if left in ("data/lake.dvc", "the commit"):
        git(folder, "reset", "-q", "--soft", "HEAD~1")
        git(folder, "reset", "-q")
    if left == "dvc.yaml":
        (folder / f".dvc.yaml.{2**22 + 1}.tmp").write_text("stages:")  # by a process that was killed
    told = say(folder, *words)
    assert told.code == 0, told.err
    assert "500 rows added" in told.out
    assert {name: content for name, content in files(folder).items() if not name.startswith(".")} == whole
    assert git(folder, "status", "--porcelain") == ""


def test_what_stands_in_the_way_of_a_project_is_told_before_anything_is_written(
    say: Say, tmp_path: Path, customers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("init", str(customers), "--target", "churned")
    (tmp_path / "file").write_text("no folder")
    for folder in (tmp_path / "file", tmp_path / "file" / "churn"):
        told = say(folder, *words)
        assert (told.code, "file is a file" in told.err) == (2, True)

    folder = tmp_path / "churn"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "trunk")
    git(folder, "commit", "-q", "--allow-empty", "-m", "Begin")
    git(folder, "switch", "-q", "--detach")
    (folder / ".gitignore").write_text("*.log\n/data/\n")
    before = files(folder)
    told = say(folder, *words)
    assert (told.code, "detached HEAD" in told.err, files(folder)) == (1, True, before)
    git(folder, "switch", "-q", "trunk")
    told = say(folder, *words)
    assert (told.code, files(folder)) == (2, before)
    assert "data/lake.dvc must be committed, but git ignores it" in told.err
    assert ".gitignore:2:/data/" in told.err

    with monkeypatch.context() as bare:
        bare.setenv("PATH", str(tmp_path / "nothing"))
        told = say(tmp_path / "other", *words)
    assert (told.code, "git is not on PATH" in told.err) == (1, True)
    assert not (tmp_path / "other").exists()


def test_a_project_inside_another_repository_has_one_of_its_own_and_says_so(
    say: Say, tmp_path: Path, customers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(tmp_path, "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git"))  # as inside a hook
    told = say(tmp_path / "churn", "init", str(customers), "--target", "churned")
    monkeypatch.delenv("GIT_DIR", raising=False)  # the command dropped it
    assert told.code == 0, told.err
    assert f"a git repository of its own, inside {tmp_path}" in told.out
    assert git(tmp_path / "churn", "status", "--porcelain") == ""
    assert len(git(tmp_path / "churn", "log", "--oneline").splitlines()) == 2


def test_labels_of_another_type_are_told_before(say: Say, tmp_path: Path, customers: Path) -> None:
    folder, other = tmp_path / "churn", tmp_path / "other.csv"
    assert say(folder, "init", str(customers), "--target", "churned").code == 0
    params = folder / "params.yaml"
    params.write_text(re.sub(r"(?m)^  contract: .*\n", "", params.read_text()))
    pd.read_csv(customers).assign(churned="yes").to_csv(other, index=False)
    before = files(folder)
    told = say(folder, "data", "check", str(other))
    assert told.code == 3
    assert "holds labels of the type" in told.out
    assert files(folder) == before
    assert say(folder, "data", "check", str(customers)).code == 0


@pytest.mark.parametrize(
    ("content", "words", "says"),
    [
        ("", (), "cannot be read as a table"),
        ("a,churned\n", (), "no rows"),
        ("a,churned\n1,\n2,\n", (), "no value in any row"),
        ("a,churned\n1,yes\n2,yes\n", (), "yes in every row"),
        ("a,b\n1,2\n", (), "no column 'churned'"),
        ("id,churned\n1,yes\n2,no\n", ("--task", "ranking"), "binary, multiclass, regression"),
    ],
)
def test_a_table_that_cannot_be_learnt_from_makes_no_project(
    say: Say, tmp_path: Path, content: str, words: tuple[str, ...], says: str
) -> None:
    file = tmp_path / "table.csv"
    file.write_text(content)
    told = say(tmp_path / "churn", "init", str(file), "--target", "churned", *words)
    assert told.code in (1, 2)
    assert says in told.err
    assert not (tmp_path / "churn").exists()


def test_a_table_that_is_not_there_is_named(say: Say, tmp_path: Path) -> None:
    told = say(tmp_path, "init", "nowhere.csv", "--target", "y")
    assert (told.code, "nowhere.csv" in told.err) == (2, True)
