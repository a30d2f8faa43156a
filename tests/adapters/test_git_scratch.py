"""Scratch work trees of the real git: nothing of them is left, whenever the process ends."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mlops.adapters.git.scratch import Scratch
from mlops.adapters.git.worktree import Tree
from mlops.errors import ConflictError, UsageError
from tests.flows.conftest import persons_tree


def git(root: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.rstrip("\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    git(root, "config", "user.name", "ada")
    git(root, "config", "user.email", "ada@example.org")
    (root / ".gitignore").write_text(".mlops/\n")
    for depth in (3, 4):
        (root / "params.yaml").write_text(f"depth: {depth}\n")
        git(root, "add", "-A")
        git(root, "commit", "-q", "-m", f"depth {depth}")
    (root / "params.yaml").write_text("depth: 5\n")
    (root / "staged.txt").write_text("staged\n")
    git(root, "add", "staged.txt")
    return root


@pytest.fixture
def scratch(root: Path) -> Scratch:
    return Scratch(root, root / ".mlops" / "scratch")


def trees(root: Path) -> list[str]:
    lines = git(root, "worktree", "list", "--porcelain").splitlines()
    return [Path(line.removeprefix("worktree ")).name for line in lines if line.startswith("worktree ")]


def test_a_commit_is_checked_out_beside_a_person_who_notices_nothing(root: Path, scratch: Scratch) -> None:
    before = persons_tree(root)
    folder = scratch.begin("one", git(root, "rev-parse", "HEAD~1"))
    assert (folder / "params.yaml").read_text() == "depth: 3\n"
    assert persons_tree(root) == before
    scratch.remove_worktree(folder)
    assert not folder.exists()
    assert trees(root) == ["project"]
    assert persons_tree(root) == before


def test_one_that_is_kept_loses_its_dot_and_replaces_the_one_before(root: Path, scratch: Scratch) -> None:
    for depth in (3, 4):
        kept = scratch.keep(scratch.begin("one", git(root, "rev-parse", f"HEAD~{4 - depth}")))
        assert kept.name == "one"
        assert (kept / "params.yaml").read_text() == f"depth: {depth}\n"
        assert git(kept, "status", "--porcelain") == ""
    assert scratch.sweep() == []
    assert trees(root) == ["project", "one"]


def test_what_a_killed_process_left_is_swept(root: Path, scratch: Scratch) -> None:
    head = scratch.head()
    left = scratch.begin("left", head)
    half = scratch.begin("half", head)
    (half / ".git").unlink()
    gone = scratch.begin("gone", head)
    subprocess.run(["rm", "-r", str(gone)], check=True)
    git(root, "worktree", "lock", "--reason", "initializing", str(left))
    assert sorted(scratch.sweep()) == sorted([left, half])
    assert trees(root) == ["project"]
    assert list((root / ".git" / "worktrees").glob("*")) == []


def test_to_begin_again_is_to_begin_anew(root: Path, scratch: Scratch) -> None:
    folder = scratch.begin("one", scratch.head())
    (folder / "params.yaml").write_text("half an edit")
    assert (scratch.begin("one", scratch.head()) / "params.yaml").read_text() == "depth: 4\n"


def test_a_branch_is_made_once_and_found_again(root: Path, scratch: Scratch) -> None:
    before, head = persons_tree(root), scratch.head()
    folder = scratch.begin("one", head, branch="try/one")
    (folder / "params.yaml").write_text("depth: 9\n")
    tip = Tree(folder).commit_paths(["params.yaml"], "Try 9")
    scratch.remove_worktree(folder)
    assert (scratch.begin("one", head, branch="try/one") / "params.yaml").read_text() == "depth: 9\n"
    assert scratch.tip("try/one") == tip != head
    assert scratch.tip("try/two") is None
    assert persons_tree(root) == before


def test_a_branch_that_somebody_works_on_is_refused(root: Path, scratch: Scratch, tmp_path: Path) -> None:
    git(root, "worktree", "add", "-q", "-b", "try/one", str(tmp_path / "elsewhere"))
    with pytest.raises(ConflictError, match="Could not check out try/one"):
        scratch.begin("one", scratch.head(), branch="try/one")
    assert git(tmp_path / "elsewhere", "symbolic-ref", "--short", "HEAD") == "try/one"


def test_a_commit_that_is_not_here_is_named_with_how_to_get_it(scratch: Scratch) -> None:
    with pytest.raises(UsageError, match=r"no commit 012345678901\. .*git fetch") as refused:
        scratch.begin("one", "0123456789012345678901234567890123456789")
    assert refused.value.exit_code == 2


def test_a_project_inside_another_repository_is_refused(root: Path) -> None:
    inside = root / "inside"
    inside.mkdir()
    with pytest.raises(UsageError, match="inside another git repository"):
        Scratch(inside, inside / "scratch")
