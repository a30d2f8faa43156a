"""The real git: a person's index, branch and files stay theirs, and a kill is mended."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mlops.adapters.git.loop_branch import LoopTree, Merge, loop_tree
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LOOP_BRANCH, TRAINING_OUTPUTS
from mlops.errors import ConflictError, MlopsError, UsageError
from tests.patience import until


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.rstrip("\n")


def commit_all(root: Path, message: str) -> str:
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", message)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    (root / "data").mkdir(parents=True)
    git(tmp_path, "init", "-q", "-b", "main", str(root))
    git(root, "config", "user.name", "ada")
    git(root, "config", "user.email", "ada@example.org")
    (root / ".gitignore").write_text(".mlops/\n*.secret\n")
    (root / "params.yaml").write_text("depth: 3\n")
    (root / "dvc.lock").write_text("lock 1\n")
    (root / "data/lake.dvc").write_text("a\n")
    commit_all(root, "first")
    return root


@pytest.fixture
def tree(root: Path) -> Tree:
    return Tree(root)


class TestTree:
    def test_it_tells_what_it_ignores_and_by_which_line(self, root: Path, tree: Tree) -> None:
        (root / "data" / ".gitignore").write_text("/*\n!kept\n")
        assert tree.ignored(["data/lake.dvc", "data/kept", "a.secret", "params.yaml"]) == {
            "data/lake.dvc": "data/.gitignore:1:/*",
            "a.secret": ".gitignore:2:*.secret",
        }
        assert tree.ignored(["params.yaml"]) == {}

    def test_it_tells_where_it_is(self, root: Path, tree: Tree) -> None:
        assert tree.branch() == "main"
        assert tree.head() == git(root, "rev-parse", "HEAD")
        assert tree.commit().message == "first"
        assert tree.commit().parents == ()
        assert tree.is_clean()
        (root / "params.yaml").write_text("depth: 4\n")
        assert not tree.is_clean()
        assert not tree.is_clean(["params.yaml"])
        assert tree.is_clean(["dvc.lock", "data"])

    def test_it_tells_what_it_began_with_as_every_clone_does(
        self, root: Path, tree: Tree, tmp_path: Path
    ) -> None:
        first = tree.head()
        (root / "params.yaml").write_text("depth: 4\n")
        commit_all(root, "second")
        for name, options in (("whole", []), ("shallow", ["--depth", "1"])):
            git(tmp_path, "clone", "-q", *options, f"file://{root}", str(tmp_path / name))
        assert tree.root_commit() == Tree(tmp_path / "whole").root_commit() == first
        assert Tree(tmp_path / "shallow").root_commit() is None
        git(tmp_path, "init", "-q", str(tmp_path / "empty"))
        assert Tree(tmp_path / "empty").root_commit() is None

    def test_it_reads_a_file_of_a_commit(self, root: Path, tree: Tree) -> None:
        (root / "params.yaml").write_text("depth: 4\n")
        assert tree.read("params.yaml") == "depth: 3\n"
        assert tree.read("nothing.yaml") is None

    def test_no_repository_is_an_error_of_ours(self, tmp_path: Path) -> None:
        (tmp_path / "plain").mkdir()
        with pytest.raises(MlopsError, match="is not in a git repository"):
            Tree(tmp_path / "plain").branch()
        with pytest.raises(MlopsError, match="does not exist"):
            Tree(tmp_path / "missing").head()

    def test_the_repository_of_a_calling_hook_is_not_taken_for_ours(
        self, root: Path, tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        head = tree.head()
        monkeypatch.setenv("GIT_DIR", str(tmp_path / "other.git"))
        monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "other.index"))
        assert tree.head() == head


class TestCommitPaths:
    def test_commits_these_paths_whatever_else_is_staged_or_changed(self, root: Path, tree: Tree) -> None:
        (root / "staged.txt").write_text("staged\n")
        git(root, "add", "staged.txt")
        (root / "params.yaml").write_text("depth: 4\n")
        (root / "dvc.lock").write_text("lock 2\n")
        (root / "data/new.dvc").write_text("b\n")
        sha = tree.commit_paths(["dvc.lock", "data"], "lock: two")
        assert git(root, "show", "--name-only", "--format=%s|%an", sha).splitlines() == [
            "lock: two|ada", "", "data/new.dvc", "dvc.lock",
        ]  # fmt: skip
        assert git(root, "status", "--porcelain").splitlines() == [" M params.yaml", "A  staged.txt"]
        assert tree.head() == sha

    def test_what_was_staged_of_these_paths_gives_way_to_what_is_on_disk(
        self, root: Path, tree: Tree
    ) -> None:
        (root / "dvc.lock").write_text("staged\n")
        git(root, "add", "dvc.lock")
        (root / "dvc.lock").write_text("on disk\n")
        tree.commit_paths(["dvc.lock"], "lock")
        assert tree.read("dvc.lock") == "on disk\n"
        assert tree.is_clean()

    def test_a_path_that_is_gone_is_removed(self, root: Path, tree: Tree) -> None:
        (root / "data/lake.dvc").unlink()
        tree.commit_paths(["data/lake.dvc"], "forget")
        assert tree.read("data/lake.dvc") is None
        assert tree.is_clean()

    def test_nothing_to_commit_is_head(self, root: Path, tree: Tree) -> None:
        (root / "staged.txt").write_text("staged\n")
        git(root, "add", "staged.txt")
        head = tree.head()
        assert tree.commit_paths(["dvc.lock"], "again") == head
        assert tree.commit_paths([], "nothing") == head
        assert git(root, "status", "--porcelain") == "A  staged.txt"

    def test_the_first_commit_of_all(self, tmp_path: Path) -> None:
        root = tmp_path / "fresh"
        git(tmp_path, "init", "-q", "-b", "main", str(root))
        (root / "params.yaml").write_text("depth: 3\n")
        (root / "mine.txt").write_text("mine\n")
        sha = Tree(root).commit_paths(["params.yaml"], "first")
        assert git(root, "log", "--format=%H|%an|%ae") == f"{sha}|mlops|mlops@localhost"
        assert git(root, "status", "--porcelain") == "?? mine.txt"

    def test_a_detached_head_is_refused_with_what_to_do(self, root: Path, tree: Tree) -> None:
        git(root, "switch", "-q", "--detach")
        (root / "dvc.lock").write_text("lock 2\n")
        with pytest.raises(MlopsError, match="git switch"):
            tree.commit_paths(["dvc.lock"], "lock")

    @pytest.mark.parametrize("path", ["nothing.txt", "key.secret"])
    def test_a_path_that_cannot_be_committed_is_named(self, root: Path, tree: Tree, path: str) -> None:
        (root / "key.secret").write_text("s")
        with pytest.raises(MlopsError, match=path):
            tree.commit_paths([path], "no")

    def test_a_branch_that_moved_meanwhile_is_a_conflict(
        self, root: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        moved: list[str] = []
        commit = Tree._commit_tree

        def late(self: Tree, *how: object) -> str:
            git(root, "commit", "-q", "--allow-empty", "-m", "meanwhile")
            moved.append(git(root, "rev-parse", "HEAD"))
            return commit(self, *how)  # type: ignore[arg-type]

        (root / "dvc.lock").write_text("lock 2\n")
        with monkeypatch.context() as patch:
            patch.setattr(Tree, "_commit_tree", late)
            with pytest.raises(ConflictError, match="main"):
                tree.commit_paths(["dvc.lock"], "lock")
        assert tree.head() == moved[0]
        assert tree.commit(tree.commit_paths(["dvc.lock"], "lock")).parents == (moved[0],)

    def test_killed_before_the_index_was_mended_it_is_mended_by_doing_it_again(
        self, root: Path, tree: Tree, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (root / "dvc.lock").write_text("lock 2\n")
        with monkeypatch.context() as patch:
            patch.setattr(Tree, "_refresh_index", lambda self, paths: None)
            sha = tree.commit_paths(["dvc.lock"], "lock")
        assert git(root, "status", "--porcelain") == "MM dvc.lock"
        assert tree.commit_paths(["dvc.lock"], "lock") == sha
        assert tree.is_clean()

    def test_the_lock_of_another_git_is_waited_for(self, root: Path, tree: Tree) -> None:
        (root / "dvc.lock").write_text("lock 2\n")
        lock = root / ".git/index.lock"
        lock.touch()
        with subprocess.Popen(
            [sys.executable, "-c", f"import time, os; time.sleep(1); os.remove({str(lock)!r})"]
        ):
            tree.commit_paths(["dvc.lock"], "lock")
        assert tree.is_clean()

    def test_hooks_of_the_person_do_not_run(self, root: Path, tree: Tree) -> None:
        for name in ("pre-commit", "post-checkout", "reference-transaction"):
            hook = root / ".git/hooks" / name
            hook.parent.mkdir(exist_ok=True)
            hook.write_text("#!/bin/sh\nexit 1\n")
            hook.chmod(0o755)
        (root / "dvc.lock").write_text("lock 2\n")
        tree.commit_paths(["dvc.lock"], "lock")
        loop_tree(root, root / ".mlops/worktree", LOOP_BRANCH)


def lost(loop: LoopTree) -> None:
    shutil.rmtree(loop.root)


def unlinked(loop: LoopTree) -> None:
    (loop.root / ".git").unlink()


def forgotten(loop: LoopTree) -> None:
    shutil.rmtree(loop.root.parents[1] / ".git/worktrees")


def killed_at_start(loop: LoopTree) -> None:
    admin = loop.root.parents[1] / ".git/worktrees" / loop.root.name
    (admin / "locked").write_text("initializing")
    (admin / "index").unlink()
    shutil.rmtree(loop.root)


def killed_in_index(loop: LoopTree) -> None:
    git_dir = loop.root.parents[1] / ".git"
    for lock in (
        "worktrees/worktree/index.lock",
        "worktrees/worktree/HEAD.lock",
        "refs/heads/mlops/loop.lock",
    ):
        (git_dir / lock).touch()
        os.utime(git_dir / lock, (time.time() - 60,) * 2)


def wandered(loop: LoopTree) -> None:
    git(loop.root, "switch", "-q", "--detach")


class TestLoopTree:
    @pytest.fixture
    def loop(self, root: Path) -> LoopTree:
        return loop_tree(root, root / ".mlops/worktree", LOOP_BRANCH)

    def test_it_starts_at_the_persons_head_and_touches_nothing_of_theirs(
        self, root: Path, tree: Tree, loop: LoopTree
    ) -> None:
        assert loop.head() == tree.head()
        assert (tree.branch(), loop.branch()) == ("main", "mlops/loop")
        (loop.root / "dvc.lock").write_text("lock 2\n")
        loop.commit_paths(["dvc.lock"], "lock")
        assert tree.is_clean()
        assert tree.commit().message == "first"
        assert loop.commit().message == "lock"

    def test_again_it_is_the_same_with_what_was_not_committed(self, root: Path, loop: LoopTree) -> None:
        (loop.root / "dvc.lock").write_text("lock 2\n")
        assert loop_tree(root, loop.root, LOOP_BRANCH).root == loop.root
        assert (loop.root / "dvc.lock").read_text() == "lock 2\n"

    @pytest.mark.parametrize("harm", [lost, unlinked, forgotten, killed_at_start, killed_in_index, wandered])
    def test_it_is_mended(self, root: Path, loop: LoopTree, harm: Callable[[LoopTree], None]) -> None:
        (loop.root / "dvc.lock").write_text("lock 2\n")
        sha = loop.commit_paths(["dvc.lock"], "lock")
        harm(loop)
        mended = loop_tree(root, loop.root, LOOP_BRANCH)
        assert (mended.head(), mended.branch()) == (sha, "mlops/loop")
        assert mended.is_clean()
        (mended.root / "dvc.lock").write_text("lock 3\n")
        assert mended.commit(mended.commit_paths(["dvc.lock"], "lock 3")).parents == (sha,)

    def test_a_lock_of_a_living_git_is_not_broken(self, root: Path, loop: LoopTree) -> None:
        lock = root / ".git/refs/heads/mlops/loop.lock"
        lock.touch()
        code = f"import time, os; time.sleep(0.5); os.remove({str(lock)!r})"  # fails where it is gone
        with subprocess.Popen([sys.executable, "-c", code]) as living:
            loop_tree(root, loop.root, LOOP_BRANCH)
        assert living.returncode == 0

    def test_in_a_clone_it_goes_on_where_the_remote_had_come(
        self, root: Path, loop: LoopTree, tmp_path: Path
    ) -> None:
        (loop.root / "dvc.lock").write_text("lock 2\n")
        sha = loop.commit_paths(["dvc.lock"], "lock")
        clone = tmp_path / "clone"
        git(tmp_path, "clone", "-q", str(root), str(clone))
        assert Tree(clone).ref(LOOP_BRANCH) == "refs/remotes/origin/mlops/loop"
        there = loop_tree(clone, clone / ".mlops/worktree", LOOP_BRANCH)
        assert there.head() == sha
        (there.root / "dvc.lock").write_text("lock 3\n")
        there.commit_paths(["dvc.lock"], "lock 3")
        git(root, "worktree", "remove", "--force", str(loop.root))
        there.push(LOOP_BRANCH, "origin")
        assert Tree(root).tip(LOOP_BRANCH) == there.head()

    def test_a_branch_that_the_person_is_on_is_refused(self, root: Path, tree: Tree) -> None:
        git(root, "switch", "-q", "-c", "mlops/loop")
        with pytest.raises(ConflictError, match="Could not check out mlops/loop"):
            loop_tree(root, root / ".mlops/worktree", LOOP_BRANCH)
        assert tree.branch() == "mlops/loop"

    def test_a_project_inside_a_repository_is_refused(self, root: Path) -> None:
        with pytest.raises(UsageError, match="git init"):
            loop_tree(root / "data", root / "data/.mlops/worktree", LOOP_BRANCH)

    def test_killed_while_it_is_made_it_converges(self, root: Path) -> None:
        code = (
            "import sys, pathlib; from mlops.adapters.git.loop_branch import loop_tree;"
            "print('go', flush=True); loop_tree(*map(pathlib.Path, sys.argv[1:3]), sys.argv[3])"
        )
        folder = root / ".mlops/worktree"
        for delay in (0.004, 0.01, 0.02, 0.04):
            command = [sys.executable, "-c", code, str(root), str(folder), LOOP_BRANCH]
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, text=True, start_new_session=True
            ) as process:
                assert process.stdout is not None
                process.stdout.readline()
                time.sleep(delay)  # the moment itself is what is tried
                os.killpg(process.pid, signal.SIGKILL)
        loop = loop_tree(root, folder, LOOP_BRANCH)
        assert loop.is_clean()
        assert loop.head() == Tree(root).head()


class TestSync:
    @pytest.fixture
    def loop(self, root: Path) -> LoopTree:
        return loop_tree(root, root / ".mlops/worktree", LOOP_BRANCH)

    @staticmethod
    def joined(loop: LoopTree) -> dict[str, Merge]:
        pointer = loop.root / "data/lake.dvc"
        return {
            "data/lake.dvc": lambda theirs, base: pointer.write_text(f"{pointer.read_text()}{base}>{theirs}")
        }

    def test_nothing_new_is_where_it_was(self, root: Path, loop: LoopTree) -> None:
        (loop.root / "dvc.lock").write_text("lock 2\n")
        sha = loop.commit_paths(["dvc.lock"], "lock")
        assert loop.sync(root, ours=TRAINING_OUTPUTS, merge=self.joined(loop)) == sha

    def test_where_only_the_person_moved_it_follows(self, root: Path, loop: LoopTree) -> None:
        (root / "params.yaml").write_text("depth: 4\n")
        head = commit_all(root, "deeper")
        assert loop.sync(root, ours=TRAINING_OUTPUTS, merge=self.joined(loop)) == head
        assert (loop.root / "params.yaml").read_text() == "depth: 4\n"
        assert loop.branch() == "mlops/loop"

    def test_where_both_moved_it_holds_both(self, root: Path, tree: Tree, loop: LoopTree) -> None:
        (loop.root / "build").mkdir()
        for path, text in (("dvc.lock", "lock 2\n"), ("data/lake.dvc", "b\n"), ("build/metrics.json", "{}")):
            (loop.root / path).write_text(text)
        tip = loop.commit_paths(["dvc.lock", "data/lake.dvc", "build"], "loop")
        (root / "params.yaml").write_text("depth: 4\n")
        (root / "data/lake.dvc").write_text("c\n")
        (root / "dvc.lock").write_text("lock of the person\n")
        (root / "new.py").write_text("")
        head = commit_all(root, "mine")
        (root / "dvc.lock").write_text("not committed\n")
        (root / "half.py").write_text("")
        git(root, "add", "half.py")
        before = git(root, "status", "--porcelain")

        sha = loop.sync(root, ours=TRAINING_OUTPUTS, merge=self.joined(loop))
        assert loop.commit(sha).parents == (tip, head)
        assert loop.read("build/metrics.json") == "{}"
        assert {path: loop.read(path) for path in ("params.yaml", "data/lake.dvc", "dvc.lock", "new.py")} == {
            "params.yaml": "depth: 4\n", "data/lake.dvc": "b\na\n>c\n", "dvc.lock": "lock 2\n", "new.py": "",
        }  # fmt: skip
        assert loop.is_clean()
        assert (tree.head(), tree.branch(), git(root, "status", "--porcelain")) == (head, "main", before)
        assert loop.sync(root, ours=TRAINING_OUTPUTS, merge=self.joined(loop)) == sha

    def test_whatever_the_loop_committed_of_a_training_stays(self, root: Path, loop: LoopTree) -> None:
        for path in TRAINING_OUTPUTS:
            (loop.root / path).parent.mkdir(parents=True, exist_ok=True)
            (loop.root / path).write_text("of the loop\n")
        loop.commit_paths(TRAINING_OUTPUTS, "loop")
        (root / "new.py").write_text("")
        commit_all(root, "mine")
        sha = loop.sync(root, ours=TRAINING_OUTPUTS, merge={})
        assert {loop.read(path, sha) for path in TRAINING_OUTPUTS} == {"of the loop\n"}
        assert (loop.root / "build/plots/.gitignore").is_file()

    def test_a_person_who_merged_the_loop_is_followed(self, root: Path, loop: LoopTree) -> None:
        (loop.root / "dvc.lock").write_text("lock 2\n")
        loop.commit_paths(["dvc.lock"], "loop")
        (root / "new.py").write_text("")
        commit_all(root, "mine")
        git(root, "merge", "-q", "--no-edit", "mlops/loop")
        assert loop.sync(root, ours=TRAINING_OUTPUTS, merge=self.joined(loop)) == git(
            root, "rev-parse", "HEAD"
        )
        assert (loop.root / "dvc.lock").read_text() == "lock 2\n"

    @pytest.mark.parametrize("at", ["_write_tree", "_commit_tree", "move"])
    def test_killed_anywhere_it_converges(
        self, root: Path, loop: LoopTree, at: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (loop.root / "dvc.lock").write_text("lock 2\n")
        loop.commit_paths(["dvc.lock"], "loop")
        (root / "data/lake.dvc").write_text("c\n")
        (root / "params.yaml").unlink()
        commit_all(root, "mine")
        step = getattr(Tree, at)

        def killed(self: Tree, *how: object) -> None:
            step(self, *how)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Tree, at, killed)
            with pytest.raises(KeyboardInterrupt):
                loop.sync(root, ours=TRAINING_OUTPUTS, merge=self.joined(loop))
        again = loop_tree(root, loop.root, LOOP_BRANCH)
        again.sync(root, ours=TRAINING_OUTPUTS, merge=self.joined(again))
        assert again.read("data/lake.dvc") == "a\na\n>c\n"
        assert again.read("dvc.lock") == "lock 2\n"
        assert not (again.root / "params.yaml").exists()
        assert again.is_clean()


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class TestPush:
    @pytest.fixture
    def origin(self, tmp_path: Path, root: Path) -> Path:
        git(tmp_path, "init", "-q", "--bare", "origin.git")
        git(root, "remote", "add", "origin", str(tmp_path / "origin.git"))
        return tmp_path / "origin.git"

    @pytest.fixture
    def loop(self, root: Path) -> LoopTree:
        return loop_tree(root, root / ".mlops/worktree", LOOP_BRANCH)

    def test_the_loops_branch_alone_arrives(self, origin: Path, loop: LoopTree) -> None:
        assert loop.remote_of("mlops/loop") == "origin"
        loop.push("mlops/loop", "origin")
        assert git(origin, "for-each-ref", "--format=%(refname)") == "refs/heads/mlops/loop"
        assert git(origin, "rev-parse", "mlops/loop") == loop.head()

    def test_it_goes_where_gits_own_settings_say(self, root: Path, origin: Path, loop: LoopTree) -> None:
        git(root, "remote", "rename", "origin", "store")
        assert loop.remote_of("mlops/loop") is None
        git(root, "config", "remote.pushDefault", "store")
        assert loop.remote_of("mlops/loop") == "store"
        git(root, "config", "branch.mlops/loop.pushRemote", "no")
        assert loop.remote_of("mlops/loop") is None

    def test_what_another_loop_pushed_is_not_overwritten(
        self, root: Path, origin: Path, loop: LoopTree
    ) -> None:
        (root / "params.yaml").write_text("depth: 9\n")
        theirs = commit_all(root, "another machine's")
        git(root, "push", "-q", "origin", "HEAD:refs/heads/mlops/loop")
        (loop.root / "dvc.lock").write_text("lock 2\n")
        loop.commit_paths(["dvc.lock"], "lock")
        with pytest.raises(MlopsError, match=r"non-fast-forward|fetch first") as raised:
            loop.push("mlops/loop", "origin")
        assert "`git push origin mlops/loop`" in raised.value.remedy
        assert git(origin, "rev-parse", "mlops/loop") == theirs

    def test_a_remote_that_is_gone_says_so(self, origin: Path, loop: LoopTree) -> None:
        shutil.rmtree(origin)
        with pytest.raises(MlopsError, match=r"Could not push mlops/loop to origin: .*does not"):
            loop.push("mlops/loop", "origin")

    def test_a_remote_that_hangs_is_left_with_all_it_started(
        self, root: Path, tmp_path: Path, loop: LoopTree
    ) -> None:
        pid = tmp_path / "pid"
        git(root, "remote", "add", "origin", "ssh://nowhere/x.git")
        git(root, "config", "core.sshCommand", f"sh -c 'echo $$ > {pid}; sleep 60'")
        started = time.monotonic()
        with pytest.raises(MlopsError, match="timed out after"):
            loop.push("mlops/loop", "origin", limit=5.0)  # ssh is to have started by then
        assert time.monotonic() - started < 30
        # What was killed takes a moment to go, on a busy machine.
        until("end of ssh", lambda: not alive(int(pid.read_text())), patience=5)
