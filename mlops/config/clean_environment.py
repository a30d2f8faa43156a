"""The environment of our processes: the shell's, without what it holds for other servers and programs.

A shell may name somebody's Prefect database, another MLflow, a proxy, a hook's repository. Our servers,
and the clients in our processes, get what the documentation names and what we set; a person's proxies,
certificates and credentials of stores stay.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlops import telemetry
from mlops.config.git_variables import is_kept
from mlops.config.settings import DOCUMENTED

__all__ = ["clean_process", "cleaned", "cleaned_for", "ignored"]

_OTHERS = (
    "PREFECT_",
    "MLFLOW_",
    "_MLFLOW_",
    "DVC_",
    "DVCLIVE_",
    "UVICORN_",
    "GUNICORN_",
    "FLASK_",
    "TRAEFIK_",
)
"""How the settings of the programs begin that we start or that work in our processes."""
_OTHER_NAMES = frozenset(
    (
        "FORWARDED_ALLOW_IPS",
        "WEB_CONCURRENCY",  # the number of processes of any web server
        "PYARROW_IGNORE_TIMEZONE",  # moves times by their zone's hours
    )
)
_KEPT = (
    "PREFECT__",  # which run a process is of
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW",
    "DVC_GLOBAL_CONFIG_DIR",  # where a person's remotes and their credentials are
    "DVC_SYSTEM_CONFIG_DIR",
    "DVC_SITE_CACHE_DIR",
)
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_INTERPRETER = frozenset(
    (
        "PYTHONINSPECT",
        "PYTHONIOENCODING",
        "PYTHONOPTIMIZE",
        "PYTHONSTARTUP",
        "PYTHONWARNINGS",
    )
)
"""What would change a Python that we start; for this one it is too late."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def ignored(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Return the variables that are set and are left out, in order, as a person should know."""
    return tuple(sorted(name for name, value in environ.items() if _is_meant_for_others(name, value)))


def cleaned(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a process of ours that is started in `environ`."""
    kept = {name: value for name, value in environ.items() if not _is_left_out(name, value)}
    reached_directly = _without_proxy(environ)
    return {
        **kept,
        **telemetry.SWITCHES,
        "NO_PROXY": reached_directly,
        "no_proxy": reached_directly,
        "PYTHONUTF8": "1",  # whatever the locale: a vendor may open a file by it
    }


def clean_process() -> tuple[str, ...]:
    """Clean the environment of this process and of all that it starts; return what was ignored."""
    names = ignored(os.environ)
    _replace(cleaned(os.environ))
    return names


@contextmanager
def cleaned_for(variables: Mapping[str, str]) -> Iterator[None]:
    """Clean this process's environment, and add `variables`, for the time of one call of a client.

    The process may be a person's notebook, whose environment is theirs.
    """
    before = dict(os.environ)
    try:
        _replace({**cleaned(before), **variables})
        yield
    finally:
        _replace(before)


def _is_meant_for_others(name: str, value: str) -> bool:
    if name in DOCUMENTED or name in telemetry.SWITCHES or name.startswith(_KEPT):
        return name in _CERTIFICATES and _is_missing(value)
    if name in _CERTIFICATES:
        return _is_missing(value)
    return name.startswith(_OTHERS) or name in _OTHER_NAMES


def _is_left_out(name: str, value: str) -> bool:
    return _is_meant_for_others(name, value) or not is_kept(name, value) or name in _INTERPRETER


def _is_missing(path: str) -> bool:
    """Whether a file of certificates is none: a client that cannot read it speaks to nobody at all."""
    return not Path(path).exists()


def _without_proxy(environ: Mapping[str, str]) -> str:
    """Return ``NO_PROXY`` with this machine in it; of the two spellings the lower one wins, as in curl."""
    hosts = [host.strip() for host in (environ.get("no_proxy") or environ.get("NO_PROXY", "")).split(",")]
    if "*" in hosts:
        return "*"
    return ",".join(dict.fromkeys([*filter(None, hosts), *_LOOPBACK]))


def _replace(wanted: Mapping[str, str]) -> None:
    """Make os.environ this; what stays as it is is not touched, since other threads read it."""
    for name in os.environ.keys() - wanted.keys():
        del os.environ[name]
    os.environ.update({name: value for name, value in wanted.items() if os.environ.get(name) != value})
