"""The real DVC, its private seam, and plain `dvc` beside it."""

from __future__ import annotations

import errno
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from dvc.dependency import ParamsDependency
from dvc.utils.serialize import dump_yaml

from mlops.adapters.dvc.cache import sweep
from mlops.adapters.dvc.metafiles import written_whole
from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.loop_branch import loop_tree
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LOOP_BRANCH, TRAINING_OUTPUTS
from mlops.errors import ConflictError, DataError, EmptyWindowError, MlopsError, StageError

Stages = Mapping[str, Callable[[Path], None]]

STAGES = """
import sys
from pathlib import Path

def prepare(root):
    files = sorted((root / "data/lake").rglob("*.csv"))
    (root / "data/prepared.csv").write_text("".join(file.read_text() for file in files))

def train(root):
    depth = (root / "params.yaml").read_text().split("depth: ")[1].split()[0]
    rows = (root / "data/prepared.csv").read_text().count(chr(10))
    (root / "build/model").mkdir(parents=True)
    (root / "build/model/weights.txt").write_text(f"{depth} {rows}")
    (root / "build/metrics.json").write_text(f'{{"rows": {rows}}}')

STAGES = {"prepare": prepare, "train": train}
if __name__ == "__main__":
    STAGES[sys.argv[1]](Path.cwd())
"""
GRAPH = """
stages:
  prepare:
    cmd: python -m mlops.stages prepare
    deps: [data/lake]
    outs: [data/prepared.csv]
  train:
    cmd: python -m mlops.stages train
    deps: [data/prepared.csv]
    params: [model]
    outs: [build/model]
    metrics:
      - build/metrics.json: {cache: false}
"""


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def plain_dvc(root: Path, *words: str) -> str:
    """Run the command as a person does, with nothing of ours on the path but the tree itself."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    command = [sys.executable, "-m", "dvc", *words]
    done = subprocess.run(command, cwd=root, env=env, check=True, capture_output=True, text=True)
    return done.stdout


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "data/lake/2013-01").mkdir(parents=True)
    (root / "data/lake/2013-01/000001-aa.csv").write_text("1\n2\n")
    (root / "mlops").mkdir()
    (root / "mlops/__init__.py").touch()
    (root / "mlops/stages.py").write_text(STAGES)
    (root / "dvc.yaml").write_text(GRAPH)
    (root / "params.yaml").write_text("model: {depth: 3 }\ndeploy: {cpus: 1}\n")
    (root / ".gitignore").write_text(".mlops/\n__pycache__/\n")
    git(tmp_path, "init", "-q", "-b", "main", str(root))
    DvcTree.init(root)
    return root


@pytest.fixture
def tree(root: Path) -> DvcTree:
    tree = DvcTree(root)
    tree.add()
    return tree


@pytest.fixture
def stages(root: Path) -> Stages:
    spec = importlib.util.spec_from_file_location("stages_of_the_test", root / "mlops/stages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return dict(module.STAGES)


def committed(root: Path) -> Path:
    git(root, "add", "-A")
    git(root, "-c", "user.name=ada", "-c", "user.email=ada@x", "commit", "-q", "-m", "all")
    return root


def test_init_again_changes_nothing(root: Path, tree: DvcTree) -> None:
    config = (root / ".dvc/config").read_text()
    assert 'type = "reflink,copy"' in config
    DvcTree.init(root)
    assert (root / ".dvc/config").read_text() == config
    assert tree.version() is not None


def test_init_outside_git_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MlopsError, match="git init"):
        DvcTree.init(tmp_path)


def test_a_folder_without_dvc_is_refused_and_left_alone(tmp_path: Path) -> None:
    with pytest.raises(MlopsError, match="dvc init"):
        DvcTree(tmp_path).status()
    assert list(tmp_path.iterdir()) == []


def test_add_names_the_bytes(root: Path, tree: DvcTree) -> None:
    first = tree.version()
    (root / "data/lake/2013-02").mkdir()
    (root / "data/lake/2013-02/000002-bb.csv").write_text("3\n")
    second = tree.add()
    assert first is not None
    assert (first.files, second.files) == (1, 2)
    assert first.md5 != second.md5
    assert tree.version() == second
    assert tree.add() == second


def test_adding_the_new_files_alone_is_the_same_version(root: Path, tree: DvcTree) -> None:
    (root / "data/lake/2013-02").mkdir()
    new = ("2013-01/000002-bb.csv", "2013-02/000002-bb.csv")
    for name in new:
        (root / "data/lake" / name).write_text(name)
    version = tree.add(new=new)
    assert tree.status().keys() == {"prepare", "train"}
    assert tree.add() == version == tree.verify()
    assert version.files == 3


def test_add_of_nothing_is_an_error_of_ours(tree: DvcTree) -> None:
    with pytest.raises(MlopsError, match="data/nothing"):
        tree.add("data/nothing")


class TestReproduce:
    def test_runs_each_stage_once_then_has_nothing_to_do(
        self,
        tree: DvcTree,
        stages: Stages,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(tmp_path)  # not the project's folder
        handed: list[str] = []

        def run(name: str, body: Callable[[], None]) -> None:
            handed.append(name)
            body()

        first = tree.reproduce(run, stages=stages)
        assert handed == ["prepare", "train"]
        assert (first.ran, first.skipped) == (("prepare", "train"), ())
        assert tree.status() == {}
        again = tree.reproduce(run, stages=stages)
        assert handed == ["prepare", "train"]
        assert (again.ran, again.skipped) == ((), ("prepare", "train"))
        assert (again.lock_sha, again.data_md5) == (first.lock_sha, first.data_md5)

    def test_plain_dvc_agrees(self, root: Path, tree: DvcTree, stages: Stages, tmp_path: Path) -> None:
        other = tmp_path / "other"
        shutil.copytree(root, other)
        tree.reproduce(stages=stages)
        assert "up to date" in plain_dvc(root, "status")
        assert "Data and pipelines are up to date" in plain_dvc(root, "repro")
        plain_dvc(other, "repro")
        for made in ("dvc.lock", "build/model/weights.txt", "build/metrics.json", "data/prepared.csv"):
            assert (root / made).read_bytes() == (other / made).read_bytes()

    def test_only_what_depends_on_a_change_runs(self, root: Path, tree: DvcTree, stages: Stages) -> None:
        before = tree.reproduce(stages=stages)
        (root / "params.yaml").write_text("model: {depth: 3 }\ndeploy: {cpus: 2}\n")
        assert tree.reproduce(stages=stages).ran == ()
        (root / "params.yaml").write_text("model: {depth: 4 }\n")
        assert tree.reproduce(stages=stages).ran == ("train",)
        (root / "params.yaml").write_text("model: {depth: 3 }\n")
        back = tree.reproduce(stages=stages)  # the run cache knows it
        assert (back.ran, back.skipped) == ((), ("prepare", "train"))
        assert back.lock_sha == before.lock_sha
        assert (root / "build/model/weights.txt").read_text() == "3 2"
        forced = tree.reproduce(stages=stages, force=True)
        assert forced.ran == ("prepare", "train")
        assert forced.lock_sha == before.lock_sha

    def test_the_run_cache_works_from_another_folder(
        self, root: Path, tree: DvcTree, stages: Stages, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        tree.reproduce(stages=stages)
        shutil.rmtree(root / "build")
        (root / "dvc.lock").unlink()
        assert tree.reproduce(stages=stages).ran == ()
        assert (root / "build/model/weights.txt").read_text() == "3 2"

    @pytest.mark.parametrize("force", [False, True])
    def test_an_input_that_moves_meanwhile_leaves_nothing_recorded(
        self, root: Path, tree: DvcTree, stages: Stages, force: bool
    ) -> None:
        lock = root / "dvc.lock"

        def train(at: Path) -> None:
            stages["train"](at)
            (at / "params.yaml").write_text("model: {depth: 9 }\n")

        with pytest.raises(StageError, match=r"params\.yaml changed while stage train ran"):
            tree.reproduce(stages={**stages, "train": train}, force=force)
        assert "prepare" in lock.read_text()
        assert "train" not in lock.read_text()
        assert tree.reproduce(stages=stages).ran == ("train",)  # so not from the run cache
        assert (root / "build/model/weights.txt").read_text() == "9 2"

    def test_a_move_while_it_is_recorded_shows_as_a_change_afterwards(
        self, root: Path, tree: DvcTree, stages: Stages, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        trained: list[bool] = []
        status = ParamsDependency.status

        def train(at: Path) -> None:
            stages["train"](at)
            trained.append(True)

        def status_then_a_move(dep: ParamsDependency) -> dict[str, str]:
            found = status(dep)
            if trained:
                (root / "params.yaml").write_text("model: {depth: 9 }\n")
            return found

        with monkeypatch.context() as patch:
            patch.setattr(ParamsDependency, "status", status_then_a_move)
            tree.reproduce(stages={**stages, "train": train})
        assert "depth: 3" in (root / "dvc.lock").read_text()
        assert (root / "build/model/weights.txt").read_text() == "3 2"
        assert "train" in tree.status()

    def test_our_errors_come_through_and_others_are_named(self, tree: DvcTree, stages: Stages) -> None:
        def empty(at: Path) -> None:
            raise EmptyWindowError("No row.")

        def broken(at: Path) -> None:
            raise ValueError("nan")

        with pytest.raises(EmptyWindowError, match=r"No row\."):
            tree.reproduce(stages={**stages, "train": empty})
        with pytest.raises(StageError, match="train failed: ValueError: nan"):
            tree.reproduce(stages={**stages, "train": broken})
        with pytest.raises(StageError, match=r"train failed: .*build/model"):
            tree.reproduce(stages={**stages, "train": lambda at: None})
        assert tree.reproduce(stages=stages).ran == ("train",)

    def test_a_runner_that_swallows_a_failure_is_found_out(self, tree: DvcTree, stages: Stages) -> None:
        with pytest.raises(StageError, match="prepare was not run"):
            tree.reproduce(lambda name, body: None, stages=stages)

    def test_a_runner_may_try_again(self, tree: DvcTree, stages: Stages) -> None:
        tries: list[str] = []

        def flaky(at: Path) -> None:
            tries.append("train")
            if len(tries) < 3:
                raise ConflictError("Not yet.")
            stages["train"](at)

        def run(name: str, body: Callable[[], None]) -> None:
            for _ in range(3):
                try:
                    return body()
                except ConflictError:
                    pass

        assert tree.reproduce(run, stages={**stages, "train": flaky}).ran == ("prepare", "train")
        assert len(tries) == 3
        assert tree.status() == {}

    def test_other_commands_run_as_dvc_runs_them(self, root: Path, tree: DvcTree, stages: Stages) -> None:
        (root / "dvc.yaml").write_text(
            GRAPH + "  card:\n    cmd: echo $DVC_STAGE > card.txt\n"
            "    deps: [build/model]\n    outs: [card.txt]\n"
        )
        assert tree.reproduce(stages=stages).ran == ("prepare", "train", "card")
        assert (root / "card.txt").read_text() == "card\n"
        (root / "dvc.yaml").write_text((root / "dvc.yaml").read_text().replace("echo", "false"))
        with pytest.raises(StageError, match="card failed"):
            tree.reproduce(stages=stages)

    def test_a_broken_graph_is_an_error_of_ours(self, root: Path, tree: DvcTree, stages: Stages) -> None:
        (root / "dvc.yaml").write_text("stages: {train: {}}")
        with pytest.raises(MlopsError, match=r"dvc\.yaml"):
            tree.reproduce(stages=stages)


class TestKilled:
    def test_in_a_stage_it_leaves_nothing_wrong(self, root: Path, tree: DvcTree, stages: Stages) -> None:
        tree.reproduce(stages=stages)
        (root / "params.yaml").write_text("model: {depth: 7 }\n")
        code = (
            "import sys, time, pathlib; from mlops.adapters.dvc.tree import DvcTree\n"
            "def train(root):\n"
            "    (root / 'build/model').mkdir(parents=True)\n"
            "    (root / 'build/model/weights.txt').write_text('half')\n"
            "    print('in it', flush=True); time.sleep(60)\n"
            "DvcTree(pathlib.Path(sys.argv[1])).reproduce(stages={'prepare': None, 'train': train})"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, str(root)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "in it\n"  # nothing of DVC's own on stdout
            os.kill(process.pid, signal.SIGKILL)
        assert tree.reproduce(stages=stages).ran == ("train",)
        assert (root / "build/model/weights.txt").read_text() == "7 2"
        assert tree.status() == {}

    def test_while_it_wrote_dvcs_list_of_paths_in_use(
        self, root: Path, tree: DvcTree, stages: Stages
    ) -> None:
        (root / ".dvc/tmp/rwlock").write_text("")
        assert tree.reproduce(stages=stages).ran == ("prepare", "train")

    def test_as_it_wrote_one_of_dvcs_files_it_leaves_the_one_before(
        self, root: Path, tree: DvcTree, stages: Stages
    ) -> None:
        tree.reproduce(stages=stages)
        files = (root / "data/lake.dvc", root / "dvc.lock")
        killed = (
            "import os, pathlib, runpy, signal, sys; from mlops.adapters.dvc.tree import DvcTree\n"
            "root, name = pathlib.Path(sys.argv[1]), sys.argv[2]\n"
            "stages = runpy.run_path(root / 'mlops/stages.py')['STAGES']\n"
            "def emptied(event, args):\n"
            "    if event == 'open' and 'w' in str(args[1]) and name in str(args[0]):\n"
            "        pathlib.Path(args[0]).is_file() and os.truncate(args[0], 0)\n"
            "        os.kill(os.getpid(), signal.SIGKILL)\n"
            "sys.addaudithook(emptied)\n"
            "DvcTree(root).add() if name == 'lake.dvc' else DvcTree(root).reproduce(stages=stages)"
        )
        (root / "data/lake/2013-01/000002-bb.csv").write_text("3\n")
        (root / "params.yaml").write_text("model: {depth: 7 }\n")
        for file in files:
            before = file.read_bytes()
            done = subprocess.run([sys.executable, "-c", killed, str(root), file.name], check=False)
            assert done.returncode == -signal.SIGKILL
            assert file.read_bytes() == before
        assert tree.reproduce(stages=stages).ran == ("train",)  # the run cache has what was prepared
        assert sorted(file.name for file in (root / ".dvc/tmp").glob(".*.tmp")) == []

    def test_what_dvc_writes_outside_the_tree_may_be_on_another_disk(
        self, root: Path, tree: DvcTree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def across(self: Path, other: object) -> Path:
            raise OSError(errno.EXDEV, "Invalid cross-device link")

        monkeypatch.setattr(Path, "replace", across)
        with written_whole(root):
            dump_yaml(tmp_path / "cache.tmp", {"outs": []})
            with pytest.raises(OSError, match="cross-device"):
                dump_yaml(root / "dvc.lock", {})
        assert (tmp_path / "cache.tmp").read_text() == "outs: []\n"
        dump_yaml(root / "dvc.lock", {})
        assert (root / "dvc.lock").read_text() == "{}\n"

    @pytest.mark.parametrize("name", ["dvc.lock", "data/lake.dvc"])
    @pytest.mark.parametrize("text", ["", "<<<<<<< HEAD\nouts:\n"])
    def test_what_plain_dvc_cut_off_is_named_with_the_way_out(
        self, root: Path, tree: DvcTree, stages: Stages, name: str, text: str
    ) -> None:
        def looked() -> None:
            tree.version()
            tree.status()

        tree.reproduce(stages=stages)
        committed(root)
        (root / name).write_text(text)
        with pytest.raises(DataError, match=re.escape(name)) as caught:
            looked()
        assert "git" in str(caught.value.remedy)
        git(root, "checkout", "--", name)
        assert tree.status() == {}

    def test_as_it_laid_an_output_down_it_leaves_no_litter(
        self, root: Path, tree: DvcTree, stages: Stages
    ) -> None:
        code = (
            "import os, pathlib, runpy, signal, sys; from mlops.adapters.dvc.tree import DvcTree\n"
            "root = pathlib.Path(sys.argv[1])\n"
            "stages = runpy.run_path(root / 'mlops/stages.py')['STAGES']\n"
            "def laid(event, args):\n"
            "    if event == 'os.rename' and str(args[0]).startswith(f'{root}/data/.'):\n"
            "        os.kill(os.getpid(), signal.SIGKILL)\n"
            "sys.addaudithook(laid)\n"
            "DvcTree(root).reproduce(stages=stages)"
        )
        done = subprocess.run([sys.executable, "-c", code, str(root)], check=False)
        assert done.returncode == -signal.SIGKILL
        ours = root / "data/.a-file-of-the-person.tmp"
        ours.touch()
        assert len(list((root / "data").glob(".*.tmp"))) > 1
        tree.reproduce(stages=stages)
        assert list((root / "data").glob(".*.tmp")) == [ours]

    def test_its_litter_is_swept_but_not_what_is_being_written(self, root: Path, tree: DvcTree) -> None:
        old, young = (root / f".dvc/cache/files/md5/.{name}.tmp" for name in ("old", "young"))
        for file in (old, young):
            file.write_text("half")
        hour_ago = time.time() - 3600
        os.utime(old, (hour_ago, hour_ago))
        assert sweep(tree.cache(), datetime.now(UTC) - timedelta(minutes=10)) == 1
        assert young.exists()
        assert not old.exists()


class TestAltered:
    @staticmethod
    def cached(root: Path) -> Path:
        (file,) = (
            path
            for path in (root / ".dvc/cache/files/md5").rglob("*")
            if path.is_file() and path.read_bytes() == b"1\n2\n"
        )
        return file

    def test_data_that_dvc_takes_for_whole_is_named(self, root: Path, tree: DvcTree, stages: Stages) -> None:
        tree.verify()
        stored = self.cached(root)
        stored.chmod(0o644)
        stored.write_bytes(b"1\n3\n")
        stored.chmod(0o444)
        shutil.rmtree(root / "data/lake")
        tree.checkout()
        assert tree.status().keys() == {"prepare", "train"}  # DVC sees nothing wrong in the lake
        with pytest.raises(DataError, match=r"000001-aa\.csv is not what was recorded.*dvc pull"):
            tree.verify()
        with pytest.raises(DataError, match=r"000001-aa\.csv is not what was recorded"):
            tree.reproduce(stages=stages)
        assert not (root / "dvc.lock").exists()

    def test_a_missing_file_is_named(self, root: Path, tree: DvcTree) -> None:
        (root / "data/lake/2013-01/000001-aa.csv").unlink()
        with pytest.raises(DataError, match=r"000001-aa\.csv is missing"):
            tree.verify()

    def test_a_cache_that_lacks_it_says_so(self, root: Path, tree: DvcTree) -> None:
        self.cached(root).unlink()
        shutil.rmtree(root / "data/lake")
        with pytest.raises(DataError, match=r"000001-aa\.csv \(missing: .*no DVC remote"):
            tree.checkout()


class TestTogether:
    def test_plain_dvc_at_work_after_a_stage_does_not_cost_its_result(
        self, root: Path, tree: DvcTree, stages: Stages
    ) -> None:
        code = (
            "import sys, time, zc.lockfile; lock = zc.lockfile.LockFile(sys.argv[1]);"
            "print('held', flush=True); time.sleep(4)"  # plain DVC gives up after 3 s
        )
        holders: list[subprocess.Popen[str]] = []

        def train(at: Path) -> None:
            stages["train"](at)
            command = [sys.executable, "-c", code, str(root / ".dvc/tmp/lock")]
            holders.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            assert holders[-1].stdout is not None
            assert holders[-1].stdout.readline() == "held\n"

        assert tree.reproduce(stages={**stages, "train": train}).ran == ("prepare", "train")
        assert [holder.communicate()[1] for holder in holders] == [None]
        assert tree.status() == {}

    def test_ours_wait_for_one_another(self, root: Path, stages: Stages, tree: DvcTree) -> None:
        impatient = DvcTree(root, patience=0.1)

        def train(at: Path) -> None:
            with pytest.raises(ConflictError, match="Another process"):
                impatient.add()
            stages["train"](at)

        tree.reproduce(stages={**stages, "train": train})
        assert impatient.status() == {}

    def test_many_adds_at_once_all_succeed(self, root: Path) -> None:
        code = (
            "import sys, pathlib; from mlops.adapters.dvc.tree import DvcTree;"
            "DvcTree(pathlib.Path(sys.argv[1])).add(sys.argv[2])"
        )
        for n in range(3):
            (root / f"data/more{n}").mkdir()
            (root / f"data/more{n}/rows.csv").write_text(str(n))
        adders = [
            subprocess.Popen([sys.executable, "-c", code, str(root), f"data/more{n}"]) for n in range(3)
        ]
        assert [adder.wait() for adder in adders] == [0] * 3


class TestWorktree:
    @pytest.fixture
    def loop(self, root: Path, tree: DvcTree, stages: Stages) -> DvcTree:
        tree.reproduce(stages=stages)
        committed(root)
        loop = DvcTree(loop_tree(root, root / ".mlops/worktree", LOOP_BRANCH).root)
        loop.share_cache(tree)
        return loop

    def test_it_shares_the_cache(self, root: Path, tree: DvcTree, loop: DvcTree, stages: Stages) -> None:
        loop.checkout()
        assert loop.version() == tree.verify() == loop.verify()
        assert not (loop.root / ".dvc/cache/files").exists()
        assert loop.reproduce(stages=stages).ran == ()  # by the run cache both have
        assert (loop.root / "build/model/weights.txt").read_text() == "3 2"
        assert Tree(loop.root).is_clean()
        assert tree.status() == {}  # the stages of the worktree are not the project's

    def test_both_lakes_are_joined(self, root: Path, tree: DvcTree, loop: DvcTree, stages: Stages) -> None:
        loop.checkout()
        (loop.root / "data/lake/2013-01/000002-loop.csv").write_text("8\n")
        loop.add()
        loop.reproduce(stages=stages)
        worktree = loop_tree(root, loop.root, LOOP_BRANCH)
        tip = worktree.commit_paths(["data/lake.dvc", "dvc.lock"], "loop")
        lock = (loop.root / "dvc.lock").read_text()

        (root / "data/lake/2013-01/000002-mine.csv").write_text("9\n")
        (root / "params.yaml").write_text("model: {depth: 5 }\n")
        mine = tree.add()
        committed(root)
        head = git(root, "rev-parse", "HEAD")

        sha = worktree.sync(root, ours=TRAINING_OUTPUTS, merge={"data/lake.dvc": loop.union})
        assert worktree.commit(sha).parents == (tip, head)
        assert (loop.root / "dvc.lock").read_text() == lock
        assert "depth: 5" in (loop.root / "params.yaml").read_text()
        assert loop.verify().files == 3
        assert worktree.is_clean()
        assert loop.reproduce(stages=stages).ran == ("prepare", "train")
        assert (loop.root / "build/model/weights.txt").read_text() == "5 4"

        assert git(root, "rev-parse", "HEAD") == head
        assert git(root, "status", "--porcelain") == ""
        assert tree.verify() == mine
        assert worktree.sync(root, ours=TRAINING_OUTPUTS, merge={"data/lake.dvc": loop.union}) == sha

    def test_what_the_person_took_out_leaves_the_loops_lake_too(
        self, root: Path, tree: DvcTree, loop: DvcTree
    ) -> None:
        before = (root / "data/lake.dvc").read_text()
        (root / "data/lake/2013-01/000002-bad.csv").write_text("-1\n")
        tree.add()
        committed(root)
        worktree = loop_tree(root, loop.root, LOOP_BRANCH)
        merge = {"data/lake.dvc": loop.union}
        worktree.sync(root, ours=TRAINING_OUTPUTS, merge=merge)
        loop.checkout()
        (loop.root / "data/lake/2013-01/000003-served.csv").write_text("8\n")
        loop.add(new=["2013-01/000003-served.csv"])
        worktree.commit_paths(["data/lake.dvc"], "loop")

        (root / "data/lake.dvc").write_text(before)
        tree.checkout()
        committed(root)
        worktree.sync(root, ours=TRAINING_OUTPUTS, merge=merge)

        names = {"2013-01/000001-aa.csv", "2013-01/000003-served.csv"}
        assert loop.files() == names
        loop.checkout()
        lake = loop.root / "data/lake"
        assert {path.relative_to(lake).as_posix() for path in lake.rglob("*.csv")} == names
        assert worktree.sync(root, ours=TRAINING_OUTPUTS, merge=merge) == worktree.head()

    def test_files_that_are_not_on_disk_come_and_go_all_the_same(
        self, root: Path, tree: DvcTree, loop: DvcTree
    ) -> None:
        pointer, lake = root / "data/lake.dvc", root / "data/lake/2013-01"
        began = pointer.read_text()
        (lake / "000002-bb.csv").write_text("8\n")
        tree.add()
        grown = pointer.read_text()
        loop.union(grown, began, on_disk=False)
        shutil.rmtree(loop.root / "data/lake")
        (lake / "000001-aa.csv").unlink()
        tree.add()
        for _ in range(2):
            loop.union(pointer.read_text(), grown, on_disk=False)
            assert loop.files() == {"2013-01/000002-bb.csv"}

    def test_what_both_took_in_is_there_once(self, root: Path, tree: DvcTree, loop: DvcTree) -> None:
        loop.checkout()
        (loop.root / "data/lake/2013-01/000002-bb.csv").write_text("8\n")
        loop.add()
        (root / "data/lake/2013-01/000007-bb.csv").write_text("8\n")
        (root / "data/lake/2013-02").mkdir()
        (root / "data/lake/2013-02/000007-bb.csv").write_text("8\n")
        tree.add()

        loop.union((root / "data/lake.dvc").read_text())

        names = {
            path.relative_to(loop.root / "data/lake").as_posix() for path in loop.root.glob("data/lake/*/*")
        }
        assert names == {"2013-01/000001-aa.csv", "2013-01/000002-bb.csv", "2013-02/000007-bb.csv"}

    def test_one_name_with_two_contents_is_refused(self, root: Path, tree: DvcTree, loop: DvcTree) -> None:
        mine = (root / "data/lake.dvc").read_text()
        loop.checkout()
        (loop.root / "data/lake/2013-01/000001-aa.csv").write_text("0\n")
        changed = loop.add()
        with pytest.raises(ConflictError, match=r"000001-aa\.csv differs"):
            loop.union(mine)
        assert loop.version() == changed
