"""Git's variables in the environment: a person's, and those of a command of git that runs us."""

from __future__ import annotations

__all__ = ["is_kept"]

_KEPT = (
    "GIT_ALLOW_PROTOCOL",
    "GIT_ASKPASS",
    "GIT_AUTHOR_EMAIL",
    "GIT_AUTHOR_NAME",
    "GIT_CEILING_DIRECTORIES",
    "GIT_COMMITTER_EMAIL",
    "GIT_COMMITTER_NAME",
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_KEY_",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_VALUE_",
    "GIT_DISCOVERY_ACROSS_FILESYSTEM",
    "GIT_EXEC_PATH",
    "GIT_HTTP_",
    "GIT_PROXY_",
    "GIT_SSH",
    "GIT_SSL_",
)
"""Beginnings of git's variables that say who somebody is and how a remote is reached."""


def is_kept(name: str, value: str) -> bool:
    """Tell whether a variable stays in the environment of a git that we start; others than git's do.

    Git sets some for a hook, an alias or a rebase: they would point ours at their repository, their index or
    their moment. An empty name in the shell is no name.
    """
    return not name.startswith("GIT_") or (bool(value) and name.startswith(_KEPT))
