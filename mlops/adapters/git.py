"""Git, by its command: commits of chosen paths, and the loop's own worktree.

A person's index, branch and files are theirs. What the library commits in their tree is made
beside it, in a private index, and only the committed paths are brought up to date in theirs.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from filelock import FileLock, Timeout

from mlops.errors import ConflictError, MlopsError, UsageError
from mlops.version import Commit

__all__ = ["LoopTree", "Tree", "loop_tree"]

_NOBODY = ("-c", "user.name=mlops", "-c", "user.email=mlops@localhost")
_LOOPS_OWN = ("dvc.lock", "build/metrics.json", "build/.gitignore", "data/.gitignore")
_ABSENT = "0" * 40
# A lock of git's own is held for moments; one this old was left by a killed process.
_STALE_AFTER = 10.0
_PATIENCE = 30.0


class Tree:
    """A git work tree whose top is `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def head(self) -> str:
        """Return the sha of the commit the tree is at.

        Raises
        ------
        MlopsError
            There is no commit yet, or no repository.
        """
        return self._git("rev-parse", "--verify", "HEAD^{commit}")

    def branch(self) -> str:
        """Return the name of the current branch, as ``main``.

        Raises
        ------
        MlopsError
            HEAD is detached: a commit would belong to no branch.
        """
        name = self._ask("symbolic-ref", "-q", "--short", "HEAD")
        if name is None:
            self._git("rev-parse", "--git-dir")
            raise MlopsError(
                f"{self.root} is on no branch (detached HEAD), where a commit would be lost.",
                remedy="Switch to one: `git switch BRANCH`.",
            )
        return name

    def is_clean(self, paths: Sequence[str] = ()) -> bool:
        """Return whether these paths (all, where none is named) are as in the last commit."""
        return not self._git("status", "--porcelain", "--", *paths)

    def commit(self, rev: str = "HEAD") -> Commit:
        """Return the commit that `rev` names."""
        text = self._git("show", "-s", "--format=%H%n%P%n%ct%n%B", f"{rev}^{{commit}}", "--")
        sha, parents, at, message = text.split("\n", 3)
        return Commit(sha, tuple(parents.split()), datetime.fromtimestamp(int(at), UTC), message.strip())

    def read(self, path: str, rev: str = "HEAD") -> str | None:
        """Return the text of `path` at the commit `rev`, or None where that has no such file."""
        blob = self._ask("rev-parse", "--verify", "-q", f"{rev}:{path}")
        return None if blob is None else self._run("cat-file", "blob", blob).stdout

    def commit_paths(self, paths: Sequence[str], message: str) -> str:
        """Commit these paths alone to the current branch, whatever else is staged or changed.

        Hooks don't run. Where nothing changed there is no commit, and HEAD is returned; the same
        call again after a kill finishes what was begun.

        Parameters
        ----------
        paths
            Relative to the root; a path that is gone is committed as removed.

        Returns
        -------
        str
            The sha of the commit that holds them.

        Raises
        ------
        ConflictError
            The branch moved meanwhile, or another git holds a lock. Do it again.
        MlopsError
            HEAD is detached, or a path is ignored or unknown.
        """
        branch = self.branch()
        tip = self._ask("rev-parse", "--verify", "-q", "HEAD^{commit}")
        tree = self._write_tree(tip, paths)
        if tip is None or tree != self._git("rev-parse", f"{tip}^{{tree}}"):
            sha = self._commit_tree(tree, [tip] if tip else [], message)
            self._move(branch, sha, tip or _ABSENT)
            tip = sha
        # Else the person's index still holds the old content, staged as if they had undone ours.
        self._refresh(paths)
        return tip

    def _write_tree(self, base: str | None, paths: Sequence[str]) -> str:
        """Write the tree of `base` with `paths` as they are on disk."""
        with TemporaryDirectory(prefix="mlops-") as folder:
            index = Path(folder) / "index"
            self._git("read-tree", base or "--empty", index=index)
            if paths:  # git would take none for all
                self._git("add", "-A", "--", *paths, index=index)
            return self._git("write-tree", index=index)

    def _commit_tree(self, tree: str, parents: Sequence[str], message: str) -> str:
        known = self._ask("-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT")
        lineage = [word for parent in parents for word in ("-p", parent)]
        return self._git(*(() if known else _NOBODY), "commit-tree", tree, *lineage, "-m", message)

    def _move(self, branch: str, new: str, old: str) -> None:
        """Point `branch` at `new`, if it still is at `old`."""
        done = self._run("update-ref", "-m", "mlops", f"refs/heads/{branch}", new, old)
        if done.returncode:
            raise ConflictError(
                f"The branch {branch} of {self.root} moved while a commit to it was made.",
                remedy="Nothing was changed; do it again.",
            )

    def _refresh(self, paths: Sequence[str]) -> None:
        if not paths:  # git would take none for all
            return
        deadline = time.monotonic() + _STALE_AFTER
        while (done := self._run("reset", "-q", "--", *paths)).returncode:
            if "index.lock" not in done.stderr or time.monotonic() > deadline:
                raise ConflictError(
                    f"Committed, but the index of {self.root} could not be brought up to date: "
                    f"{done.stderr.strip()}.",
                    remedy="End the other git, remove the lock if there is none, and do it again.",
                )
            time.sleep(0.1)

    def _git(self, *words: str, index: Path | None = None) -> str:
        done = self._run(*words, index=index)
        if done.returncode:
            why = done.stderr.strip() or done.stdout.strip()
            raise MlopsError(f"`git {' '.join(words)}` failed in {self.root}: {why}")
        return done.stdout.strip()

    def _ask(self, *words: str) -> str | None:
        """Return git's answer, or None where it says no."""
        done = self._run(*words)
        return None if done.returncode else done.stdout.strip()

    def _run(self, *words: str, index: Path | None = None) -> subprocess.CompletedProcess[str]:
        # The caller's own repository (a hook sets these) is not the one meant here.
        foreign = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
        env = {key: value for key, value in os.environ.items() if key not in foreign}
        env |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
        if index is not None:
            env["GIT_INDEX_FILE"] = str(index)
        command = ["git", "--literal-pathspecs", "-c", f"core.hooksPath={os.devnull}", *words]
        try:
            return subprocess.run(
                command, cwd=self.root, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                check=False,
            )  # fmt: skip
        except FileNotFoundError as exc:
            missing = "git is not on PATH" if self.root.is_dir() else f"{self.root} is no folder"
            raise MlopsError(f"{missing}.", remedy="Install git, or give the project's folder.") from exc


class LoopTree(Tree):
    """The worktree that what runs unattended works in, on a branch of its own.

    One at a time may work in it: whoever does holds the loop's lease.
    """

    def sync(
        self,
        project_root: Path,
        *,
        own: Sequence[str] = _LOOPS_OWN,
        merge: Mapping[str, Callable[[str], object]],
    ) -> str:
        """Bring what the person committed since, and drop what a killed run left uncommitted.

        Where both sides moved, a new commit of the loop's branch has both as parents and holds the
        person's tree, with the loop's own files laid over it. Their HEAD, index and files are
        only read.

        Parameters
        ----------
        own
            Paths that stay as the loop last committed them: what DVC writes of a run.
        merge
            Path → a function that is given the person's text of it and brings the loop's file to
            hold both, as ``DvcTree.union`` does with pointers.

        Returns
        -------
        str
            The sha that the loop's branch is at.

        Raises
        ------
        ConflictError
            Somebody else moved the loop's branch.
        """
        self._git("reset", "-q", "--hard")
        tip, theirs = self.head(), Tree(project_root).head()
        if self._is_ancestor(theirs, tip):
            return tip
        new = theirs if self._is_ancestor(tip, theirs) else self._joined(tip, theirs, own, merge)
        self._move(self.branch(), new, tip)
        # Killed before this, the next call's first line does it.
        self._git("reset", "-q", "--hard")
        return new

    def _joined(
        self, tip: str, theirs: str, own: Sequence[str], merge: Mapping[str, Callable[[str], object]]
    ) -> str:
        for path, join in merge.items():
            text = self.read(path, theirs)
            if text is not None and text != self.read(path, tip):
                join(text)
        kept = [path for path in own if self.read(path, tip) is not None]
        kept += [path for path in merge if (self.root / path).exists()]
        message = f"mlops: bring {theirs[:12]} to the loop"
        return self._commit_tree(self._write_tree(theirs, kept), [tip, theirs], message)

    def _is_ancestor(self, one: str, other: str) -> bool:
        return self._ask("merge-base", "--is-ancestor", one, other) is not None


def loop_tree(project_root: Path, folder: Path, branch: str = "mlops/loop") -> LoopTree:
    """Return the loop's worktree, made or mended first where it must be.

    Parameters
    ----------
    folder
        Where it lies; a folder that isn't a whole worktree of `branch` is replaced.
    branch
        Starts at the project's HEAD where it doesn't exist.

    Raises
    ------
    UsageError
        The project's folder isn't the top of its git repository.
    ConflictError
        The branch is checked out elsewhere, or another process is at this very thing.
    """
    project = Tree(project_root)
    if Path(project._git("rev-parse", "--show-toplevel")) != project.root:
        raise UsageError(
            f"{project.root} lies inside another git repository.",
            remedy="The loop needs a repository of its own: run `git init` in the project's folder.",
        )
    folder = folder.resolve()
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder.with_name(f"{folder.name}.lock"), timeout=_PATIENCE):
            _break_stale_locks(project, folder, branch)
            if project._ask("rev-parse", "--verify", "-q", f"refs/heads/{branch}") is None:
                project._move(branch, project.head(), _ABSENT)
            if not _is_whole(folder, branch):
                _rebuild(project, folder, branch)
    except Timeout as exc:
        raise ConflictError(f"Another process is making {folder}.", remedy="Do it again.") from exc
    return LoopTree(folder)


def _is_whole(folder: Path, branch: str) -> bool:
    if not (folder / ".git").is_file():
        return False
    tree = Tree(folder)
    top = tree._ask("rev-parse", "--show-toplevel")
    at = tree._ask("symbolic-ref", "-q", "HEAD")
    return (
        top == str(folder)
        and at == f"refs/heads/{branch}"
        and tree._ask("ls-files", "--error-unmatch", "--", ".") is not None
    )


def _rebuild(project: Tree, folder: Path, branch: str) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    # A kill inside `git worktree add` leaves it locked as "initializing", which prune respects.
    project._ask("worktree", "unlock", str(folder))
    project._git("worktree", "prune")
    done = project._run("worktree", "add", "-q", str(folder), branch)
    if done.returncode:
        raise ConflictError(
            f"The worktree of {branch} cannot be made at {folder}: {done.stderr.strip()}.",
            remedy=f"{branch} belongs to the loop: switch your own tree to another branch.",
        )


def _break_stale_locks(project: Tree, folder: Path, branch: str) -> None:
    common = Path(project._git("rev-parse", "--path-format=absolute", "--git-common-dir"))
    locks = [common / "refs" / "heads" / f"{branch}.lock"]
    for admin in (common / "worktrees").glob("*"):
        points_to = admin / "gitdir"
        if points_to.is_file() and points_to.read_text().strip() == str(folder / ".git"):
            locks += [admin / "index.lock", admin / "HEAD.lock"]
    for lock in locks:
        while (left := _seconds_left(lock)) is not None and left > 0:
            time.sleep(min(left, 0.2))
        lock.unlink(missing_ok=True)


def _seconds_left(lock: Path) -> float | None:
    """Return how long `lock` may still be alive; None where it is gone."""
    try:
        return lock.stat().st_mtime + _STALE_AFTER - time.time()
    except FileNotFoundError:
        return None
