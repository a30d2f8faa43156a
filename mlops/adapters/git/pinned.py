"""Settings of git that are ours, whatever the person's configuration and environment say.

What decides who somebody is and how a remote is reached stays theirs: names, credentials, SSH, proxies,
``url.*.insteadOf``. What changes what git prints, or which bytes it writes, does not.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mlops.config.git_variables import is_kept

__all__ = ["PINNED", "git_environment"]

_OUTPUT = (
    "log.showSignature=false",  # prints GnuPG's lines before those of the format
    "log.follow=false",  # walks other commits than those asked for
    "log.decorate=false",
    "log.mailmap=false",
    "i18n.logOutputEncoding=UTF-8",
    "color.ui=false",
    "color.status=false",
    "color.push=false",
    "color.remote=false",
    "color.transport=false",
    "core.quotePath=false",
    "core.pager=cat",
    "status.showUntrackedFiles=normal",  # else a new file counts as no change
    "status.relativePaths=true",
    "status.renames=false",
    "diff.ignoreSubmodules=none",
)
_BYTES = (
    "core.autocrlf=false",
    "core.eol=lf",
    "core.safecrlf=false",
    f"core.attributesFile={os.devnull}",
    "i18n.commitEncoding=UTF-8",
    "commit.gpgSign=false",  # nobody is there to type a passphrase
    "tag.gpgSign=false",
    "commit.cleanup=strip",
)
_REPOSITORY = (
    f"core.hooksPath={os.devnull}",
    "core.fsmonitor=false",  # would leave a daemon beside each work tree
    "core.splitIndex=false",  # neither this nor a newer index is read by DVC's libraries
    "core.untrackedCache=false",
    "feature.manyFiles=false",
    "index.version=2",
    "index.skipHash=false",
    "init.defaultObjectFormat=sha1",
    "init.defaultRefFormat=files",
    "worktree.useRelativePaths=false",
    "push.followTags=false",  # a branch is pushed, and nothing else
    "push.recurseSubmodules=no",
    "fetch.recurseSubmodules=false",
    "submodule.recurse=false",
    "gc.auto=0",  # no repacking that outlives the command
    "maintenance.auto=false",
    "advice.detachedHead=false",
)
PINNED = (*_OUTPUT, *_BYTES, *_REPOSITORY)
"""``KEY=VALUE``, each given to git by ``-c``, which wins over every file of configuration."""


def git_environment(environ: Mapping[str, str], index: Path | None = None) -> dict[str, str]:
    """Return the environment of a git that we start.

    Parameters
    ----------
    index
        Index file to use in place of the tree's own.
    """
    kept = {name: value for name, value in environ.items() if is_kept(name, value)}
    kept |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0", "GIT_ATTR_NOSYSTEM": "1"}
    return kept if index is None else {**kept, "GIT_INDEX_FILE": str(index)}
