"""A work tree of git's: what it is at, and commits of chosen paths.

A person's index, branch and files are theirs. What the library commits in their tree is made
beside it, in a private index, and only the committed paths are brought up to date in theirs.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from mlops.adapters.git.command import Git
from mlops.data.versions import Commit
from mlops.errors import ConflictError, MlopsError, UsageError

__all__ = ["ABSENT", "Tree"]

_NOBODY = ("-c", "user.name=mlops", "-c", "user.email=mlops@localhost")
ABSENT = "0" * 40
"""What a branch is at that is not there."""
_PATIENCE = 10.0
"""Seconds that another git may hold the index."""


class Tree:
    """A git work tree whose top is `root`."""

    def __init__(self, root: Path) -> None:
        self.git = Git(root)
        self.root = self.git.root

    @classmethod
    def init(cls, root: Path) -> Tree:
        """Make `root` the top of a git repository; done again, it changes nothing.

        Raises
        ------
        MlopsError
            Git is not on PATH, or cannot make one there.
        """
        tree = cls(root)
        if not (tree.root / ".git").exists():
            tree.git.say("init", "-q", "-b", "main")
        return tree

    def top(self) -> Path | None:
        """Return the top of the repository that the tree lies in, None where it lies in none."""
        top = self.git.ask("rev-parse", "--show-toplevel")
        return None if top is None else Path(top)

    def ignored(self, paths: Sequence[str]) -> dict[str, str]:
        """Return those of the paths that git was told to ignore, with the line that says so.

        As ``.gitignore:3:/data/``: the file, the number of the line, the line.
        """
        said = self.git.run("check-ignore", "--no-index", "--verbose", "--", *paths, literal=False).stdout
        found = [line.split("\t", 1) for line in said.splitlines()]
        # The last line that fits decides, and may take back those before it.
        return {path: line for line, path in found if not line.split(":", 2)[2].startswith("!")}

    def head(self) -> str:
        """Return the sha of the commit the tree is at.

        Raises
        ------
        MlopsError
            There is no commit yet, or no repository.
        """
        return self.git.say("rev-parse", "--verify", "HEAD^{commit}")

    def branch(self) -> str:
        """Return the name of the current branch, as ``main``.

        Raises
        ------
        MlopsError
            HEAD is detached: a commit would belong to no branch.
        """
        name = self.git.ask("symbolic-ref", "-q", "--short", "HEAD")
        if name is None:
            if self.git.ask("rev-parse", "--git-dir") is None:
                raise MlopsError(
                    f"{self.root} is in no git repository, which keeps the versions of the data.",
                    remedy="Run `git init` and `dvc init` there; `mlops init` begins a project with both.",
                )
            raise MlopsError(
                f"{self.root} is on no branch (detached HEAD), where a commit would be lost.",
                remedy="Switch to one: `git switch BRANCH`.",
            )
        return name

    def tip(self, branch: str) -> str | None:
        """Return the sha that `branch` is at, or None where there is no such branch."""
        return self.git.ask("rev-parse", "--verify", "-q", f"refs/heads/{branch}")

    def ref(self, branch: str) -> str:
        """Return the ref of `branch`, that of the remote's where only there one was seen, as in a clone."""
        if self.tip(branch) is None and (remote := self.remote_of(branch)):
            there = f"refs/remotes/{remote}/{branch}"
            if self.git.ask("rev-parse", "--verify", "-q", there) is not None:
                return there
        return f"refs/heads/{branch}"

    def origin(self) -> str | None:
        """Return the sha of the commit that all began with: every clone's is the same.

        None before the first commit, and in a shallow clone, which doesn't know it.
        """
        if self.git.ask("rev-parse", "--is-shallow-repository") != "false":
            return None
        return self.git.ask("rev-list", "--max-parents=0", "--first-parent", "HEAD")

    def check_top(self) -> None:
        """Make sure that `root` is the top of its repository: a worktree holds all of one.

        Raises
        ------
        UsageError
            It lies inside another.
        """
        if Path(self.git.say("rev-parse", "--show-toplevel")) != self.root:
            raise UsageError(
                f"{self.root} lies inside another git repository.",
                remedy="The loop needs a repository of its own: run `git init` in the project's folder.",
            )

    def author(self) -> str | None:
        """Return who commits here, as ``Ada <ada@example.org>``; None where git was not told."""
        known = self.git.ask("-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT")
        return known and known.rpartition(">")[0] + ">"

    def is_clean(self, paths: Sequence[str] = ()) -> bool:
        """Return whether these paths (all, where none is named) are as in the last commit."""
        return not self.git.say("status", "--porcelain", "--", *paths)

    def commit(self, rev: str = "HEAD") -> Commit:
        """Return the commit that `rev` names."""
        text = self.git.say("show", "-s", "--format=%H%n%P%n%ct%n%B", f"{rev}^{{commit}}", "--")
        sha, parents, at, message = text.split("\n", 3)
        return Commit(sha, tuple(parents.split()), datetime.fromtimestamp(int(at), UTC), message.strip())

    def read(self, path: str, rev: str = "HEAD") -> str | None:
        """Return the text of `path` at the commit `rev`, or None where that has no such file."""
        blob = self.git.ask("rev-parse", "--verify", "-q", f"{rev}:{path}")
        return None if blob is None else self.git.run("cat-file", "blob", blob).stdout

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
        tip = self.git.ask("rev-parse", "--verify", "-q", "HEAD^{commit}")
        tree = self._write_tree(tip, paths)
        if tip is None or tree != self.git.say("rev-parse", f"{tip}^{{tree}}"):
            sha = self._commit_tree(tree, [tip] if tip else [], message)
            self.move(branch, sha, tip or ABSENT)
            tip = sha
        # Else the person's index still holds the old content, staged as if they had undone ours.
        self._refresh(paths)
        return tip

    def move(self, branch: str, new: str, old: str) -> None:
        """Point `branch` at `new`, if it still is at `old`.

        Raises
        ------
        ConflictError
            It is not.
        """
        done = self.git.run("update-ref", "-m", "mlops", f"refs/heads/{branch}", new, old)
        if done.returncode:
            raise ConflictError(
                f"The branch {branch} of {self.root} moved while a commit to it was made.",
                remedy="Nothing was changed; do it again.",
            )

    def pack(self, branch: str, file: Path) -> str | None:
        """Write `branch` and its history to a file; return its commit, None where there is no such branch."""
        tip = self.tip(branch)
        if tip is not None:
            self.git.say("bundle", "create", "-q", str(file), f"refs/heads/{branch}")
        return tip

    def unpack(self, branch: str, file: Path) -> bool:
        """Bring `branch` from a file that `pack` wrote, unless the branch here has gone another way.

        Returns
        -------
        bool
            Whether the branch now holds the file's commit; the commit itself is here in any case.
        """
        self.git.say("fetch", "-q", "--no-tags", "--no-write-fetch-head", str(file), f"refs/heads/{branch}")
        new = self.git.say("bundle", "list-heads", str(file), f"refs/heads/{branch}").split()[0]
        old = self.tip(branch)
        if old is None or self.git.ask("merge-base", "--is-ancestor", old, new) is not None:
            self.move(branch, new, old or ABSENT)
            return True
        return self.git.ask("merge-base", "--is-ancestor", new, old) is not None

    def remote_of(self, branch: str) -> str | None:
        """Return the remote that git's own settings push `branch` to, else ``origin``.

        None where there is no such remote: ``git config branch.mlops/loop.pushRemote no`` keeps
        the loop's branch at home.
        """
        chosen = self.git.say("for-each-ref", "--format=%(push:remotename)", f"refs/heads/{branch}")
        remote = chosen or "origin"
        return None if self.git.ask("remote", "get-url", "--push", remote) is None else remote

    def push(self, branch: str, remote: str, *, limit: float = 60.0) -> None:
        """Send `branch` to `remote`, never by force.

        Parameters
        ----------
        limit
            Seconds.

        Raises
        ------
        MlopsError
            The remote doesn't take it, or not within the limit.
        """
        ref = f"refs/heads/{branch}"
        try:
            done = self.git.run("push", "--porcelain", remote, f"{ref}:{ref}", limit=limit)
            why = "" if done.returncode == 0 else _said(done)
        except subprocess.TimeoutExpired:
            why = f"it took more than {limit:.0f} s"
        if why:
            raise MlopsError(
                f"{branch} could not be pushed to {remote}: {why}.",
                remedy=f"Run `git push {remote} {branch}`.",
            )

    def add_worktree(self, folder: Path, at: str, *, detach: bool = False) -> None:
        """Check a branch, or with `detach` a commit, out in a folder of its own; what lies there goes first.

        Raises
        ------
        ConflictError
            The branch is checked out elsewhere.
        """
        self.remove_worktree(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        detached = ["--detach"] if detach else []
        done = self.git.run("worktree", "add", "-q", *detached, str(folder), at)
        if done.returncode:
            raise ConflictError(
                f"{at} cannot be worked on in {folder}: {done.stderr.strip()}.",
                remedy=f"Switch whichever tree has {at} to another branch.",
            )

    def remove_worktree(self, folder: Path) -> None:
        """Remove a work tree, whole or half made; what is gone already is fine."""
        if self.git.ask("worktree", "remove", "--force", "--force", str(folder)) is None:
            shutil.rmtree(folder, ignore_errors=True)
            # A kill inside `git worktree add` leaves it locked as "initializing", which prune respects.
            self.git.ask("worktree", "unlock", str(folder))
        self.forget_worktrees()

    def forget_worktrees(self) -> None:
        """Let git forget work trees whose folder is gone."""
        self.git.say("worktree", "prune")

    def _write_tree(self, base: str | None, paths: Sequence[str]) -> str:
        """Write the tree of `base` with `paths` as they are on disk."""
        with TemporaryDirectory(prefix="mlops-") as folder:
            index = Path(folder) / "index"
            self.git.say("read-tree", base or "--empty", index=index)
            if paths:  # git would take none for all
                self.git.say("add", "-A", "--", *paths, index=index)
            return self.git.say("write-tree", index=index)

    def _commit_tree(self, tree: str, parents: Sequence[str], message: str) -> str:
        lineage = [word for parent in parents for word in ("-p", parent)]
        return self.git.say(*(() if self.author() else _NOBODY), "commit-tree", tree, *lineage, "-m", message)

    def _refresh(self, paths: Sequence[str]) -> None:
        if not paths:  # git would take none for all
            return
        deadline = time.monotonic() + _PATIENCE
        while (done := self.git.run("reset", "-q", "--", *paths)).returncode:
            if "index.lock" not in done.stderr or time.monotonic() > deadline:
                raise ConflictError(
                    f"Committed, but the index of {self.root} could not be brought up to date: "
                    f"{done.stderr.strip()}.",
                    remedy="End the other git, remove the lock if there is none, and do it again.",
                )
            time.sleep(0.1)


def _said(done: subprocess.CompletedProcess[str]) -> str:
    """Return what a `git push` gave as its reason: of the ref, or of the remote."""
    refused = [line.split("\t")[-1] for line in done.stdout.splitlines() if line.startswith("!")]
    return "; ".join(refused) or " ".join(done.stderr.split())
