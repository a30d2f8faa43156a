"""Checks for `mlops doctor` of what a shell and a home folder bring along, each with what it does here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mlops.adapters.git.worktree import Tree
from mlops.config.paths import PARAMS
from mlops.maintenance.packages import Finding

__all__ = ["check_ignored", "check_line_endings", "check_locale", "check_proxy"]

_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def check_proxy(environ: Mapping[str, str]) -> Finding:
    """Name the variables of a proxy, and whom it is for."""
    named = sorted({name for name, value in environ.items() if value and name.lower() in _PROXIES})
    reached = "for other machines; the servers of this one are reached directly"
    return Finding("proxy", "ok", f"{', '.join(named)}: {reached}" if named else "none")


def check_ignored(names: Sequence[str]) -> Finding:
    """Name the variables that are meant for other servers and programs."""
    if not names:
        return Finding("environment", "ok", "no variable of another server or program")
    return Finding(
        "environment",
        "warn",
        f"ignored, since the project's own servers and clients do not read it: {', '.join(names)}",
        "Nothing: a server elsewhere is named by PREFECT_API_URL or MLFLOW_TRACKING_URI.",
    )


def check_locale(encoding: str) -> Finding:
    """Tell whether the terminal shows every character; files are UTF-8 whatever it says.

    Parameters
    ----------
    encoding
        Of stdout.
    """
    if encoding.lower().replace("-", "") == "utf8":
        return Finding("locale", "ok", "UTF-8")
    detail = f"the terminal is {encoding}: characters that it lacks are spelled otherwise; files are UTF-8"
    return Finding("locale", "ok", detail)


def check_line_endings(tree: Tree) -> Finding:
    """Tell whether git's settings may change the bytes of the project's files at a checkout."""
    settings = tree.line_ending_settings()
    if not settings or tree.keeps_bytes(PARAMS):
        return Finding("line endings", "ok", "a checkout leaves every byte alone")
    return Finding(
        "line endings",
        "warn",
        f"git has {', '.join(settings)}: a checkout may change bytes that stages are hashed by",
        "Write `* -text` to .gitattributes, and commit it.",
    )
