"""What this machine brings: Python, packages, programs; each looked at without importing it."""

from __future__ import annotations

import os
import re
import sqlite3
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, distributions
from pathlib import Path
from typing import Literal

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from mlops.errors import ConfigError, shown

__all__ = [
    "DISTRIBUTION",
    "Finding",
    "State",
    "check",
    "check_pinned",
    "installed",
    "pinned",
    "required",
    "unlocked",
    "versions",
]

State = Literal["ok", "warn", "fail"]

DISTRIBUTION = "mlops-loop"
_FIVE = ("mlflow", "dvc", "scikit-learn", "evidently", "prefect")
_BREAKS = {
    "pandas": "3.1 breaks `import evidently`",
    "fastapi": "0.151 and newer break Prefect's server",
    "protobuf": "7 makes skl2onnx fail on gradient boosting",
    "sqlalchemy": "with 2.1 Prefect plans no scheduled run",
}
"""Why a bound is tight, where crossing it is known to break another package."""
_OLDEST_SQLITE = (3, 24, 0)  # Prefect's bound
_SOCKETS = Path("/tmp")
"""Where the supervisors' sockets are, whatever TMPDIR says."""
_REINSTALL = (
    "Install the locked versions: in a clone of the toolkit `uv pip install -r requirements.lock`, "
    "elsewhere its wheel again with `-c requirements.lock`."
)


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Parameters
    ----------
    remedy
        What to do about it, a sentence; empty where all is well.
    """

    name: str
    state: State
    detail: str
    remedy: str = ""


def required() -> tuple[str, list[str]]:
    """Return the Python and the packages that this library asks for, as its metadata tells."""
    try:
        metadata = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        return "", []
    return metadata.metadata["Requires-Python"] or "", metadata.requires or []


def installed() -> dict[str, str]:
    """Return version by name of every package this Python sees."""
    found: dict[str, str] = {}
    for one in distributions():
        # The first on the path is the one that is imported.
        found.setdefault(canonicalize_name(one.metadata["Name"] or ""), one.version)
    return found


def versions(names: Iterable[str]) -> dict[str, str]:
    """Return version by name of the packages named, those that are not installed left out."""
    here = installed()
    return {name: here[known] for name in names if (known := canonicalize_name(name)) in here}


def pinned(lock: str) -> dict[str, set[str]]:
    """Return the versions by name that the text of a requirements.lock names."""
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, flags=re.MULTILINE):
        versions.setdefault(canonicalize_name(name), set()).add(version)
    return versions


def check_pinned(packages: Sequence[str], lock: Path) -> None:
    """Make sure that an image can bring what a model's module imports, as it is here.

    Raises
    ------
    ConfigError
        A package of `model.packages` is not in the lock, or not installed.
    """
    if not packages:
        return
    names, here = pinned(lock.read_text()), installed()
    for package in packages:
        name = canonicalize_name(package)
        if name not in names:
            way = f"a package that {lock.name} pins: add it to your dependencies and lock them anew"
            raise ConfigError("model.packages", value=package, allowed=way)
        if name not in here:
            way = f"a package that is installed: `uv pip install -r {lock.name}`"
            raise ConfigError("model.packages", value=package, allowed=way)


def check(lock: Path, environment: Mapping[str, str], python: str) -> list[Finding]:
    """Look at everything that needs no project.

    Parameters
    ----------
    lock
        The requirements.lock to compare with.
    python
        The version that runs, as ``3.11.8``.
    """
    wanted, requires = required()
    packages = installed()
    locked = lock.read_text() if lock.is_file() else ""
    return [
        of_python(python, wanted),
        *of_packages(requires, packages),
        of_lock(locked, packages),
        of_sqlite(sqlite3.sqlite_version_info),
        of_bytecode(environment),
        of_temp(Path(tempfile.gettempdir()), _SOCKETS),
        of_processors(_cores(), environment),
    ]


def of_python(version: str, wanted: str) -> Finding:
    """Compare the Python that runs with the one asked for."""
    if SpecifierSet(wanted).contains(version, prereleases=True):
        return Finding("python", "ok", version)
    return Finding("python", "fail", f"{version}, not {wanted}", "Make the environment with a newer Python.")


def of_packages(requires: Sequence[str], packages: Mapping[str, str]) -> list[Finding]:
    """Find the packages that are missing or outside their bounds; one finding where there is none."""
    if not requires:
        return [
            Finding(
                "packages", "warn", f"{DISTRIBUTION} is not installed: its bounds are unknown", _REINSTALL
            )
        ]
    wanted = [Requirement(text) for text in requires]
    wanted = [one for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    amiss = [found for one in wanted if (found := _amiss(one, packages)) is not None]
    versions = ", ".join(f"{name} {packages[name]}" for name in _FIVE if name in packages)
    return amiss or [Finding("packages", "ok", f"{versions}; {len(wanted)} within their bounds")]


def _amiss(one: Requirement, packages: Mapping[str, str]) -> Finding | None:
    have = packages.get(canonicalize_name(one.name))
    if have is None:
        return Finding(one.name, "fail", "not installed", _REINSTALL)
    if one.specifier.contains(have, prereleases=True):
        return None
    why = f": {_BREAKS[one.name]}" if one.name in _BREAKS else ""
    return Finding(one.name, "fail", f"{have} is outside {one.specifier}{why}", _REINSTALL)


def of_lock(locked: str, packages: Mapping[str, str]) -> Finding:
    """Compare what is installed with the text of a requirements.lock."""
    if not pinned(locked):
        return Finding("lock", "warn", "no requirements.lock to compare with", "Restore it from git.")
    others = [
        f"{name} {have} (locked {wanted})" for name, (wanted, have) in unlocked(locked, packages).items()
    ]
    if not others:
        return Finding("lock", "ok", "every package as requirements.lock has it")
    return Finding("lock", "warn", shown(others, 4), _REINSTALL)


def unlocked(locked: str, packages: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return the packages that are installed otherwise than the text of a requirements.lock says.

    Returns
    -------
    dict of str to (str, str)
        Its version there and here, by name. What is locked and not installed is for another system.
    """
    return {
        name: (", ".join(sorted(versions)), packages[name])
        for name, versions in pinned(locked).items()
        if name in packages and packages[name] not in versions
    }


def of_sqlite(version: tuple[int, ...]) -> Finding:
    """Judge the version of SQLite that Python was built with."""
    text = ".".join(map(str, version))
    if version >= _OLDEST_SQLITE:
        return Finding("sqlite", "ok", text)
    oldest = ".".join(map(str, _OLDEST_SQLITE))
    return Finding("sqlite", "fail", f"{text}; Prefect needs {oldest}", "Use a Python with a newer SQLite.")


def of_bytecode(environment: Mapping[str, str]) -> Finding:
    """Tell whether Python may keep what it compiles."""
    if not environment.get("PYTHONDONTWRITEBYTECODE"):
        return Finding("bytecode", "ok", "kept")
    return Finding(
        "bytecode",
        "warn",
        "PYTHONDONTWRITEBYTECODE is set: every start compiles the packages anew, three times slower",
        "Unset PYTHONDONTWRITEBYTECODE.",
    )


def of_temp(folder: Path, sockets: Path) -> Finding:
    """Tell whether temporary files can be written, and the supervisors' sockets made."""
    remedies = {sockets: "Make it writable: the supervisors' sockets are there."}
    remedies[folder] = "Make it writable, or set TMPDIR to a folder that is."
    for one in dict.fromkeys((folder, sockets)):
        try:
            with tempfile.TemporaryFile(dir=one) as file:
                file.write(b"mlops")
        except OSError as exc:
            return Finding("temp", "fail", f"{one} cannot be written: {exc.strerror}", remedies[one])
    return Finding("temp", "ok", f"{' and '.join(map(str, dict.fromkeys((folder, sockets))))} can be written")


def of_processors(cores: int, environment: Mapping[str, str]) -> Finding:
    """Judge the threads that a fit takes by the cores there are."""
    threads = environment.get("OMP_NUM_THREADS", "")
    told = f"{cores} cores" + (f", OMP_NUM_THREADS {threads}" if threads else "")
    if cores < 2:
        return Finding("cores", "warn", told, "Two or more keep serving quick while a model is fitted.")
    if threads.isdecimal() and int(threads) > cores:
        return Finding("cores", "warn", told, f"Set OMP_NUM_THREADS to {cores} at most, or unset it.")
    return Finding("cores", "ok", told)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # a container may have fewer than the machine
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
