"""The loop's branch and data carried to another clone, by the real git and DVC."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree


def git(root: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=Ada", "-c", "user.email=ada@example.org", *words]
    return subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def commit(root: Path, text: str) -> str:
    (root / "note.txt").write_text(text)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", text)
    return git(root, "rev-parse", "HEAD")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    commit(root, "one")
    return root


@pytest.fixture
def clone(root: Path, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "-q", "-b", "main", str(root), "clone")
    return tmp_path / "clone"


def test_a_branch_arrives_with_its_commits(root: Path, clone: Path, tmp_path: Path) -> None:
    git(root, "switch", "-q", "-c", "mlops/loop")
    tip = commit(root, "by the loop")
    file = tmp_path / "loop.bundle"
    assert Tree(root).pack("mlops/loop", file) == tip
    for _ in range(2):
        assert Tree(clone).unpack("mlops/loop", file)
        assert git(clone, "rev-parse", "mlops/loop") == tip
    assert git(clone, "branch", "--show-current") == "main"
    assert git(clone, "status", "--porcelain") == ""


def test_a_branch_that_went_on_stays(root: Path, clone: Path, tmp_path: Path) -> None:
    git(root, "branch", "mlops/loop")
    Tree(root).pack("mlops/loop", tmp_path / "old.bundle")
    git(root, "switch", "-q", "mlops/loop")
    tip = commit(root, "later")
    assert Tree(root).unpack("mlops/loop", tmp_path / "old.bundle")
    assert git(root, "rev-parse", "mlops/loop") == tip


def test_a_branch_that_went_another_way_stays_and_the_commits_come(
    root: Path, clone: Path, tmp_path: Path
) -> None:
    git(root, "switch", "-q", "-c", "mlops/loop")
    theirs = commit(root, "theirs")
    Tree(root).pack("mlops/loop", tmp_path / "loop.bundle")
    git(clone, "switch", "-q", "-c", "mlops/loop")
    ours = commit(clone, "ours")
    assert not Tree(clone).unpack("mlops/loop", tmp_path / "loop.bundle")
    assert git(clone, "rev-parse", "mlops/loop") == ours
    assert git(clone, "cat-file", "-t", theirs) == "commit"


def test_without_the_branch_nothing_is_packed(root: Path, tmp_path: Path) -> None:
    assert Tree(root).pack("mlops/loop", tmp_path / "loop.bundle") is None
    assert not (tmp_path / "loop.bundle").exists()


def test_the_author_is_who_git_was_told(root: Path) -> None:
    assert Tree(root).author() is None
    git(root, "config", "user.name", "Ada Lovelace")
    git(root, "config", "user.email", "ada@example.org")
    assert Tree(root).author() == "Ada Lovelace <ada@example.org>"


class TestCache:
    @pytest.fixture
    def tree(self, root: Path) -> DvcTree:
        return DvcTree.init(root)

    @staticmethod
    def versioned(tree: DvcTree, *contents: str) -> list[str]:
        """Give the folder one version for each content, and return the commits."""
        commits = []
        for content in contents:
            (tree.root / "data").mkdir(exist_ok=True)
            (tree.root / "data" / "rows").write_text(content)
            tree.add("data")
            commits.append(commit(tree.root, content))
        return commits

    def test_an_object_that_no_branch_names_is_spare(self, tree: DvcTree) -> None:
        first, _ = self.versioned(tree, "first", "second")
        use = tree.objects()
        assert len(use.spare) == 2  # the folder and its file
        assert "first" in {file.read_text() for file in use.spare}
        assert len(use.needed) == 2
        assert tree.objects([first]).spare == []

    @pytest.mark.parametrize("words", [("branch", "kept"), ("tag", "kept")])
    def test_a_branch_or_a_tag_keeps_its_objects(self, tree: DvcTree, words: tuple[str, ...]) -> None:
        first, _ = self.versioned(tree, "first", "second")
        git(tree.root, *words, first)
        assert tree.objects().spare == []

    def test_what_lies_on_disk_and_was_not_committed_is_needed(self, tree: DvcTree) -> None:
        self.versioned(tree, "first")
        (tree.root / "data" / "rows").write_text("second")
        tree.add("data")
        assert tree.objects().spare == []

    def test_what_another_tree_on_the_cache_has_is_needed(self, tree: DvcTree, tmp_path: Path) -> None:
        self.versioned(tree, "first")
        git(tree.root, "worktree", "add", "-q", "--detach", str(tmp_path / "beside"))
        beside = DvcTree(tmp_path / "beside")
        beside.share_cache(tree)
        (beside.root / "data").mkdir(exist_ok=True)
        (beside.root / "data" / "rows").write_text("elsewhere")
        beside.add("data")
        assert "elsewhere" in {file.read_text() for file in tree.objects().spare}
        assert tree.objects(beside=[beside]).spare == []

    def test_a_commit_that_git_lost_is_passed_over(self, tree: DvcTree) -> None:
        self.versioned(tree, "first")
        assert tree.objects(["f" * 40]).spare == []

    def test_a_version_whose_listing_is_gone_keeps_nothing_and_fails_nothing(self, tree: DvcTree) -> None:
        self.versioned(tree, "first")
        [listing] = [file for file in tree.objects().needed if file.suffix == ".dir"]
        listing.unlink()
        assert [file.read_text() for file in tree.objects().spare] == ["first"]
