"""A registered version made again: with git, DVC, the ledger and the kept bundles; no server runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LAKE
from mlops.data.lake import Lake
from mlops.errors import ConflictError, DataError, UnavailableError
from mlops.ledger.entry import Entry
from mlops.ledger.records import ModelPromoted, ModelRegistered, ModelReproduced
from mlops.model import bundle
from mlops.model.bundle import Bundle, to_json
from mlops.project import gc, reproduce
from mlops.project.context import Project
from mlops.project.reproduce import Subject
from mlops.stages.pipeline import STAGES
from tests.flows.conftest import persons_tree
from tests.flows.orchard import HISTORY, Closed, plums, stamped
from tests.patience import until


def register(root: Path, made: Bundle, version: str, **facts: Any) -> Entry:
    """Tell the ledger of a version, as a training does once MLflow has it."""
    project = Project.at(root)
    kept = project.keep_bundle(made.folder)
    body = {"name": project.params.data.name, "version": version, "run_id": "0" * 32, "digest": kept.digest}
    body |= {"commit": Tree(root).head(), "data_md5": kept.lineage["data"], **facts}
    registered = project.ledger.record(ModelRegistered(**body))
    return project.ledger.record(ModelPromoted(**body), cause=registered)


def grow(root: Path, day: int, days: int) -> None:
    lake = Lake(root / LAKE)
    lake.append(plums(day, days, season=0), Project.at(root).schema)
    DvcTree(root).add(LAKE)
    Tree(root).commit_paths([f"{LAKE}.dvc", "data/.gitignore"], "Add plums")


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with version 1; newer data and newer parameters were committed since."""
    root = stamped(tmp_path_factory.mktemp("reproducing") / "plums")
    grow(root, 0, HISTORY)
    DvcTree(root).reproduce(stages=STAGES)
    Tree(root).commit_paths(
        ["dvc.lock", "build/metrics.json", "build/.gitignore", "data/.gitignore"], "Train"
    )
    register(root, bundle.open(root / "build" / "bundle"), "1")
    grow(root, HISTORY, 10)
    params = root / "params.yaml"
    params.write_text(params.read_text().replace("strength: 1.0", "strength: 0.5"))
    Tree(root).commit_paths(["params.yaml"], "Weaken")
    return root


@pytest.fixture
def project(plain: Path) -> Iterator[Path]:
    """The project, whose work trees are those of before, whatever a test does; the person is at work."""
    module, note = plain / "models" / "plums" / "model.py", plain / "note.txt"
    text = module.read_text()
    module.write_text(text + "\nraise SystemExit('half an edit')\n")
    note.write_text("staged\n")
    subprocess.run(["git", "add", "note.txt"], cwd=plain, check=True)
    before = persons_tree(plain)
    yield plain
    assert persons_tree(plain) == before
    subprocess.run(["git", "reset", "-q", "--", "note.txt"], cwd=plain, check=True)
    note.unlink()
    module.write_text(text)


def again(root: Path, version: str = "1") -> Any:
    project = Project.at(root)
    return reproduce.reproduce(project, reproduce.find(project, version), keep=False).result


def trees(root: Path) -> list[str]:
    done = subprocess.run(["git", "worktree", "list"], cwd=root, capture_output=True, text=True, check=True)
    return [Path(line.split()[0]).name for line in done.stdout.splitlines()]


def objects(root: Path) -> list[Path]:
    return list((root / ".dvc" / "cache" / "files" / "md5").glob("??/*"))


def forged(root: Path, folder: Path, *, versions: Mapping[str, str] | None = None, **lineage: Any) -> Bundle:
    """Write the bundle of version 1 with another lineage or other versions of packages."""
    [promoted] = [e for e in Project.at(root).ledger.entries(ModelPromoted) if e.record.version == "1"]
    first = Project.at(root).bundle_of(promoted)
    files = {p.name: p.read_bytes() for p in first.folder.iterdir() if p.name != "manifest.json"}
    model = first.model.to_dict() | {"versions": {**first.model.versions, **(versions or {})}}
    told = {"lineage.json": to_json({**first.lineage, **lineage}), "model.json": to_json(model)}
    return bundle.write(folder, {**files, **told})


def test_an_untouched_version_is_identical_though_data_and_parameters_moved_on(project: Path) -> None:
    result = again(project)
    assert (result.outcome, result.rebuilt) == ("bytes", result.digest)
    assert trees(project) == ["plums"]
    told = Project.at(project).ledger.last(ModelReproduced)
    assert told is not None
    assert (told.record.version, told.record.identical) == ("1", True)
    assert told.record.sentence == result.sentence
    registered = Project.at(project).ledger.get(told.cause or "")
    assert registered is not None
    assert registered.kind == "model.registered"


def test_the_champion_is_the_one_that_is_meant_where_none_is_named(project: Path) -> None:
    opened = Project.at(project)
    assert reproduce.find(opened, None).digest == opened.promoted().record.digest
    assert reproduce.find(opened, "champion") == reproduce.find(opened, None)


def test_a_version_nobody_knows_is_asked_of_mlflow_which_is_away(project: Path) -> None:
    with pytest.raises(UnavailableError, match="MLflow does not respond"):
        reproduce.find(Project.at(project), "99")


def test_the_commands_run_truly_whatever_the_run_cache_holds(project: Path, monkeypatch: Any) -> None:
    ran = []
    for name, body in STAGES.items():
        monkeypatch.setitem(STAGES, name, lambda root, n=name, b=body: (ran.append(n), b(root)))
    assert again(project).identical
    assert ran == list(STAGES)


def test_threads_hash_seed_and_folder_of_the_process_do_not_matter(project: Path, tmp_path: Path) -> None:
    program = "import sys; from mlops.cli import main; sys.exit(main())"
    others = {"OMP_NUM_THREADS": "3", "OPENBLAS_NUM_THREADS": "2", "PYTHONHASHSEED": "42"}
    done = subprocess.run(
        [sys.executable, "-c", program, "-C", str(project), "reproduce", "1", "--verify", "--json"],
        cwd=tmp_path,
        env={**os.environ, **others, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert (told["identical"], told["outcome"], told["tree"]) == (True, "bytes", None)


def test_an_altered_data_object_is_named_and_nothing_is_left(project: Path) -> None:
    oldest = min((project / LAKE).rglob("*.parquet"), key=lambda file: file.name).read_bytes()
    [name] = [file for file in objects(project) if file.read_bytes() == oldest]
    whole = name.read_bytes()
    name.chmod(0o644)
    name.write_bytes(b"altered")
    try:
        with pytest.raises(DataError, match=r"data/lake/.*\.parquet \(altered: ") as refused:
            again(project)
        assert str(name) in refused.value.remedy
        assert trees(project) == ["plums"]
        assert list((project / ".mlops" / "reproduce").iterdir()) == []
    finally:
        name.unlink(missing_ok=True)
        name.write_bytes(whole)
        name.chmod(0o444)


@pytest.mark.parametrize(
    ("lineage", "named"),
    [
        ({"data": "0" * 32 + ".dir"}, "the data (data/lake) was 00000000"),
        (
            {"params": {"model": {"params": {"strength": 3.0}}}},
            "model.params.strength of params.yaml was 3.0",
        ),
        ({"module": "1" * 64}, "models/plums/model.py was 111111111111"),
        ({"lock": "2" * 64}, "requirements.lock was 222222222222"),
    ],
    ids=["data", "parameter", "module", "lock"],
)
def test_an_input_that_is_not_what_the_version_says_is_named(
    project: Path, tmp_path: Path, lineage: dict[str, Any], named: str
) -> None:
    opened = Project.at(project)
    subject = reproduce.find(opened, "1")
    first = opened.bundle(subject.digest, "1")
    if "params" in lineage:
        model = {**first.lineage["params"]["model"], **lineage["params"]["model"]}
        model["params"] = {**first.lineage["params"]["model"]["params"], **model["params"]}
        lineage = {"params": {**first.lineage["params"], "model": model}}
    made = opened.keep_bundle(forged(project, tmp_path / "forged", **lineage).folder)
    again = reproduce.reproduce(opened, Subject("2", made.digest, subject.commit), keep=False)
    assert str(again.result.differences[0]).startswith(named)
    assert named in again.result.sentence
    # The model itself is the same; only where its data is said to be other can that not be told.
    assert again.result.identical == ("data" not in lineage)


def test_a_package_that_is_not_as_it_was_in_training_is_named(
    project: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    opened = Project.at(project)
    subject = reproduce.find(opened, "1")
    older = opened.keep_bundle(forged(project, tmp_path / "forged", versions={"scipy": "0.0.1"}).folder)
    fit = STAGES["train"]

    def other(root: Path) -> None:
        params = root / "params.yaml"
        text = params.read_text()
        params.write_text(text.replace("strength: 1.0", "strength: 0.001"))
        fit(root)
        params.write_text(text)
        lineage = root / "build" / "bundle" / "lineage.json"
        rest = {p.name: p.read_bytes() for p in lineage.parent.iterdir() if p.name != "manifest.json"}
        bundle.write(lineage.parent, {**rest, "lineage.json": rest["lineage.json"].replace(b"0.001", b"1.0")})

    monkeypatch.setitem(STAGES, "train", other)
    # Nothing of this environment needs to be as locked: what is not was so in training, too.
    monkeypatch.setattr(reproduce, "unlocked", lambda *_: {"ruff": ("0.0.1", "9"), "pandas": ("1", "2")})
    result = reproduce.reproduce(opened, Subject("2", older.digest, subject.commit), keep=False).result
    assert result.outcome == "inputs"
    assert result.sentence.startswith("Different: scipy was 0.0.1 (model.json) and is ")
    assert "held-out rows are predicted differently" in result.sentence
    assert len(result.differences) == 1
    # Taken away, nothing explains the difference.
    assert again(project).outcome == "unexplained"


def test_a_killed_one_is_finished_by_the_next_and_leaves_nothing(project: Path) -> None:
    hold = project / ".mlops" / "hold"
    hold.touch()
    program = "import sys; from mlops.cli import main; sys.exit(main())"
    words = [sys.executable, "-c", program, "-C", str(project), "reproduce", "1", "--verify"]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until("training at work", hold.with_suffix(".pid").exists)
        assert len(trees(project)) == 2
        with pytest.raises(ConflictError, match="Another `mlops reproduce`"):
            again(project)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        hold.unlink()
        hold.with_suffix(".pid").unlink(missing_ok=True)
    assert len(trees(project)) == 2
    assert again(project).identical
    assert trees(project) == ["plums"]
    assert list((project / ".mlops" / "reproduce").iterdir()) == []


def test_without_verify_the_tree_stays_until_it_is_old(project: Path) -> None:
    opened = Project.at(project)
    tree = reproduce.reproduce(opened, reproduce.find(opened, "1"), keep=True).tree
    assert tree is not None
    assert (tree / "build" / "bundle" / "manifest.json").is_file()
    assert trees(project) == ["plums", tree.name]
    assert tree not in [path for one in gc.plan(opened) for path in one.paths]
    gc.collect(opened, now=datetime.now(UTC) + timedelta(days=8))
    assert not tree.exists()
    assert trees(project) == ["plums"]


def test_a_deleted_object_comes_from_a_remote(project: Path, tmp_path: Path) -> None:
    config = project / ".dvc" / "config.local"
    config.write_text(f"[core]\n    remote = store\n['remote \"store\"']\n    url = {tmp_path / 'store'}\n")
    subprocess.run([sys.executable, "-m", "dvc", "push", "-q", "--all-commits"], cwd=project, check=True)
    try:
        for file in objects(project):
            file.unlink()
        assert again(project).identical
    finally:
        subprocess.run([sys.executable, "-m", "dvc", "pull", "-q"], cwd=project, check=True)
        config.unlink()


def test_a_version_of_the_loops_own_branch_is_identical(closed: Closed) -> None:
    orchard = closed.orchard
    before = persons_tree(orchard.root)
    project = orchard.project
    attempts = [e for e in project.ledger.entries(ModelRegistered) if e.cause == closed.answer.record.started]
    [registered] = attempts
    assert Tree(orchard.root).tip("mlops/loop") is not None
    # The bundle comes from MLflow where this machine has it no more.
    shutil.rmtree(project.folder.bundles / registered.record.digest)
    told = orchard.mlops("reproduce", registered.record.version, "--verify")
    assert told.code == 0, told.err
    assert "Identical: the same bundle" in told.out
    assert persons_tree(orchard.root) == before
    assert project.folder.bundles.joinpath(registered.record.digest).is_dir()
