"""A git work tree: its branch and commits, and commits of chosen paths.

The user's index, branch and files stay as they are. What the library commits in the user's tree is
staged in a private index, and only the committed paths are refreshed in theirs.
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
"""The sha that git takes for "the branch does not exist"."""
_INDEX_TIMEOUT = 10.0
"""Seconds to wait for another git process that holds the index."""


class Tree:
    """A git work tree whose top is `root`."""

    def __init__(self, root: Path) -> None:
        self.git = Git(root)
        self.root = self.git.root

    @classmethod
    def init(cls, root: Path) -> Tree:
        """Make `root` the top of a git repository; no change where it is one.

        Raises
        ------
        MlopsError
            Git is not on PATH, or fails.
        """
        tree = cls(root)
        if not (tree.root / ".git").exists():
            tree.git.output("init", "-q", "-b", "main")
        return tree

    def top(self) -> Path | None:
        """Return the top folder of the tree's repository, None outside a repository."""
        top = self.git.query("rev-parse", "--show-toplevel")
        return None if top is None else Path(top)

    def ignored(self, paths: Sequence[str]) -> dict[str, str]:
        """Return the ignored ones of the paths, each with the rule that ignores it.

        A rule is written as ``.gitignore:3:/data/``: file, line number, pattern.
        """
        output = self.git.run("check-ignore", "--no-index", "--verbose", "--", *paths, literal=False).stdout
        matches = [line.split("\t", 1) for line in output.splitlines()]
        # The last matching rule decides, and may negate those before it.
        return {path: rule for rule, path in matches if not rule.split(":", 2)[2].startswith("!")}

    def head(self) -> str:
        """Return the sha of HEAD.

        Raises
        ------
        MlopsError
            There is no commit yet, or no repository.
        """
        return self.git.output("rev-parse", "--verify", "HEAD^{commit}")

    def branch(self) -> str:
        """Return the name of the current branch, as ``main``.

        Raises
        ------
        MlopsError
            HEAD is detached, so that a commit would belong to no branch, or there is no repository.
        """
        name = self.git.query("symbolic-ref", "-q", "--short", "HEAD")
        if name is None:
            asked = self.git.run("rev-parse", "--git-dir")
            if asked.returncode and "not a git repository" not in asked.stderr:
                raise MlopsError(f"Git cannot read the repository of {self.root}: {asked.stderr.strip()}.")
            if asked.returncode:
                raise MlopsError(
                    f"{self.root} is not in a git repository, which keeps the versions of the data.",
                    remedy="Run `git init` and `dvc init` there; `mlops init` creates a project with both.",
                )
            raise MlopsError(
                f"{self.root} is on no branch (detached HEAD); a commit would be lost.",
                remedy="Switch to a branch: `git switch BRANCH`.",
            )
        return name

    def tip(self, branch: str) -> str | None:
        """Return the sha of `branch`, None where it does not exist."""
        return self.git.query("rev-parse", "--verify", "-q", f"refs/heads/{branch}")

    def ref(self, branch: str) -> str:
        """Return the ref of `branch`: the remote-tracking one where only that exists, as in a clone."""
        if self.tip(branch) is None and (remote := self.remote_of(branch)):
            tracking = f"refs/remotes/{remote}/{branch}"
            if self.git.query("rev-parse", "--verify", "-q", tracking) is not None:
                return tracking
        return f"refs/heads/{branch}"

    def root_commit(self) -> str | None:
        """Return the sha of the repository's first commit, the same in every clone.

        None before the first commit, and in a shallow clone, which doesn't have it.
        """
        if self.git.query("rev-parse", "--is-shallow-repository") != "false":
            return None
        return self.git.query("rev-list", "--max-parents=0", "--first-parent", "HEAD")

    def check_top(self) -> None:
        """Check that `root` is the top of its repository, which may have linked work trees.

        A work tree contains all of a repository. And DVC looks for a linked one where the repository's
        configuration puts the main one, as it does for a submodule.

        Raises
        ------
        UsageError
            It is a folder inside another repository, or a submodule.
        """
        if Path(self.git.output("rev-parse", "--show-toplevel")) != self.root:
            raise UsageError(
                f"{self.root} is inside another git repository.",
                remedy="A project needs its own repository: run `git init` in the project's folder.",
            )
        if (elsewhere := self.git.query("config", "--local", "core.worktree")) is not None:
            outer = self.git.query("rev-parse", "--show-superproject-working-tree")
            what = f"a git submodule of {outer}" if outer else f"placed by git's core.worktree, {elsewhere}"
            raise UsageError(
                f"{self.root} is {what}: DVC cannot open a linked work tree of it, which retraining needs.",
                remedy="Clone its repository to a folder outside the other one, and run the project there.",
            )

    def line_ending_settings(self) -> list[str]:
        """Return the person's settings by which git changes line endings, as ``core.autocrlf=true``."""
        found = []
        for name, harmless in (("core.autocrlf", "false"), ("core.eol", "lf")):
            lines = self.git.query("config", "--show-scope", "--get-all", name) or ""
            # What is pinned for us has the scope "command"; of the others the last counts.
            values = [
                line.partition("\t")[2] for line in lines.splitlines() if not line.startswith("command")
            ]
            found += [f"{name}={value}" for value in values[-1:] if value not in (harmless, "native")]
        return found

    def keeps_bytes(self, path: str) -> bool:
        """Tell whether the attributes of a file say that git leaves its bytes alone."""
        return self.git.output("check-attr", "text", "--", path).endswith(": unset")

    def author(self) -> str | None:
        """Return git's configured identity, as ``Ada <ada@example.org>``; None without one."""
        roles = ("GIT_AUTHOR_IDENT", "GIT_COMMITTER_IDENT")  # a shell may name one of the two alone
        author, committer = (self.git.query("-c", "user.useConfigOnly=true", "var", role) for role in roles)
        return committer.rpartition(">")[0] + ">" if author and committer else None

    def is_clean(self, paths: Sequence[str] = ()) -> bool:
        """Return whether these paths (by default all) are unchanged since the last commit."""
        return not self.git.output("status", "--porcelain", "--", *paths)

    def commit(self, rev: str = "HEAD") -> Commit:
        """Return the commit that `rev` names."""
        text = self.git.output("show", "-s", "--format=%H%n%P%n%ct%n%B", f"{rev}^{{commit}}", "--")
        sha, parents, at, message = text.split("\n", 3)
        return Commit(sha, tuple(parents.split()), datetime.fromtimestamp(int(at), UTC), message.strip())

    def read(self, path: str, rev: str = "HEAD") -> str | None:
        """Return the text of `path` at the commit `rev`, None where it has no such file."""
        blob = self.git.query("rev-parse", "--verify", "-q", f"{rev}:{path}")
        return None if blob is None else self.git.pipe("cat-file", "blob", blob).decode("utf-8", "replace")

    def commit_paths(self, paths: Sequence[str], message: str) -> str:
        """Commit only these paths to the current branch, whatever else is staged or changed.

        Hooks don't run. Without changes there is no commit, and HEAD is returned. After a kill, the
        same call finishes the commit.

        Parameters
        ----------
        paths
            Relative to the root; a missing path is committed as removed.

        Returns
        -------
        str
            The sha of the commit that contains them.

        Raises
        ------
        ConflictError
            The branch moved meanwhile, or another git process holds a lock. Retry.
        MlopsError
            HEAD is detached, or a path is ignored or unknown.
        """
        branch = self.branch()
        tip = self.git.query("rev-parse", "--verify", "-q", "HEAD^{commit}")
        tree = self._write_tree(tip, paths)
        if tip is None or tree != self.git.output("rev-parse", f"{tip}^{{tree}}"):
            sha = self._commit_tree(tree, [tip] if tip else [], message)
            self.move(branch, sha, tip or ABSENT)
            tip = sha
        # Else the user's index still has the old content, staged as if they had reverted the commit.
        self._refresh_index(paths)
        return tip

    def move(self, branch: str, new: str, old: str) -> None:
        """Point `branch` at `new`, if it is still at `old`.

        Raises
        ------
        ConflictError
            It is not.
        """
        process = self.git.run("update-ref", "-m", "mlops", f"refs/heads/{branch}", new, old)
        if process.returncode:
            raise ConflictError(
                f"The branch {branch} of {self.root} moved during the commit.",
                remedy="Nothing was changed. Run the same command again.",
            )

    def pack(self, branch: str, file: Path) -> str | None:
        """Write `branch` with its history to a git bundle; return its sha, None where it does not exist."""
        tip = self.tip(branch)
        if tip is not None:
            self.git.output("bundle", "create", "-q", str(file), f"refs/heads/{branch}")
        return tip

    def unpack(self, branch: str, file: Path) -> bool:
        """Fetch `branch` from a file of `pack`; move the branch unless it diverged.

        Returns
        -------
        bool
            Whether the branch now contains the file's commit. The commit itself is fetched in any case.
        """
        self.git.output(
            "fetch", "-q", "--no-tags", "--no-write-fetch-head", str(file), f"refs/heads/{branch}"
        )
        new = self.git.output("bundle", "list-heads", str(file), f"refs/heads/{branch}").split()[0]
        old = self.tip(branch)
        if old is None or self.git.query("merge-base", "--is-ancestor", old, new) is not None:
            self.move(branch, new, old or ABSENT)
            return True
        return self.git.query("merge-base", "--is-ancestor", new, old) is not None

    def remote_of(self, branch: str) -> str | None:
        """Return the remote that git's configuration pushes `branch` to, by default ``origin``.

        None where there is no such remote: ``git config branch.mlops/loop.pushRemote no`` turns
        pushes of the loop's branch off.
        """
        configured = self.git.output("for-each-ref", "--format=%(push:remotename)", f"refs/heads/{branch}")
        remote = configured or "origin"
        return None if self.git.query("remote", "get-url", "--push", remote) is None else remote

    def push(self, branch: str, remote: str, *, limit: float = 60.0) -> None:
        """Push `branch` to `remote`, never by force.

        Parameters
        ----------
        limit
            Timeout in seconds.

        Raises
        ------
        MlopsError
            The remote rejects the push, or the timeout passes.
        """
        ref = f"refs/heads/{branch}"
        try:
            process = self.git.run("push", "--porcelain", remote, f"{ref}:{ref}", limit=limit)
            reason = "" if process.returncode == 0 else _rejection(process)
        except subprocess.TimeoutExpired:
            reason = f"timed out after {limit:.0f} s"
        if reason:
            raise MlopsError(
                f"Could not push {branch} to {remote}: {reason}.",
                remedy=f"Run `git push {remote} {branch}`.",
            )

    def add_worktree(self, folder: Path, at: str, *, detach: bool = False) -> None:
        """Check out a branch, or with `detach` a commit, in a new work tree that replaces `folder`.

        Raises
        ------
        ConflictError
            The branch is checked out elsewhere.
        """
        self.remove_worktree(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        options = ["--detach"] if detach else []
        process = self.git.run("worktree", "add", "-q", *options, str(folder), at)
        if process.returncode:
            raise ConflictError(
                f"Could not check out {at} in {folder}: {process.stderr.strip()}.",
                remedy=f"Switch the work tree that has {at} checked out to another branch.",
            )

    def remove_worktree(self, folder: Path) -> None:
        """Remove a work tree, complete or partial; no error where it is gone."""
        if self.git.query("worktree", "remove", "--force", "--force", str(folder)) is None:
            shutil.rmtree(folder, ignore_errors=True)
            # A kill inside `git worktree add` leaves it locked as "initializing", which prune respects.
            self.git.query("worktree", "unlock", str(folder))
        self.prune_worktrees()

    def prune_worktrees(self) -> None:
        """Remove git's records of work trees whose folder is gone."""
        self.git.output("worktree", "prune")

    def _write_tree(self, base: str | None, paths: Sequence[str]) -> str:
        """Write the tree of `base` with `paths` as they are on disk."""
        with TemporaryDirectory(prefix="mlops-") as folder:
            index = Path(folder) / "index"
            self.git.output("read-tree", base or "--empty", index=index)
            if paths:  # git would take none for all
                self.git.output("add", "-A", "--", *paths, index=index)
            return self.git.output("write-tree", index=index)

    def _commit_tree(self, tree: str, parents: Sequence[str], message: str) -> str:
        lineage = [word for parent in parents for word in ("-p", parent)]
        return self.git.output(
            *(() if self.author() else _NOBODY), "commit-tree", tree, *lineage, "-m", message
        )

    def _refresh_index(self, paths: Sequence[str]) -> None:
        if not paths:  # git would take none for all
            return
        deadline = time.monotonic() + _INDEX_TIMEOUT
        while (process := self.git.run("reset", "-q", "--", *paths)).returncode:
            if "index.lock" not in process.stderr or time.monotonic() > deadline:
                raise ConflictError(
                    f"Committed, but could not refresh the index of {self.root}: {process.stderr.strip()}.",
                    remedy="Wait for the other git process, or remove the stale lock, and run the same "
                    "command again.",
                )
            time.sleep(0.1)


def _rejection(push: subprocess.CompletedProcess[str]) -> str:
    """Return the reason of a failed `git push`: that of the ref, else the remote's message."""
    rejected = [line.split("\t")[-1] for line in push.stdout.splitlines() if line.startswith("!")]
    return "; ".join(rejected) or " ".join(push.stderr.split())
