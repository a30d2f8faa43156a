"""Checks of this machine: Python, packages, SQLite, cores. Imports no package."""

from __future__ import annotations

import os
import re
import sqlite3
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
_MAIN_PACKAGES = ("mlflow", "dvc", "scikit-learn", "evidently", "prefect")
_BREAKS = {
    "pandas": "3.1 breaks `import evidently`",
    "fastapi": "0.151 and newer break Prefect's server",
    "protobuf": "7 makes skl2onnx fail on gradient boosting",
    "sqlalchemy": "with 2.1 Prefect plans no scheduled run",
}
"""Reasons for tight bounds: what breaks outside them."""
_OLDEST_SQLITE = (3, 24, 0)  # Prefect's bound
_REINSTALL = (
    "Install the locked versions: in a clone of the toolkit `uv pip install -r requirements.lock`, "
    "elsewhere its wheel again with `-c requirements.lock`."
)


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Parameters
    ----------
    remedy
        How to fix it, a sentence; empty where the state is ok.
    """

    name: str
    state: State
    detail: str
    remedy: str = ""


def required() -> tuple[str, list[str]]:
    """Return the Python version and the packages that this library's metadata requires."""
    try:
        metadata = distribution(DISTRIBUTION)
    except PackageNotFoundError:
        return "", []
    return metadata.metadata["Requires-Python"] or "", metadata.requires or []


def installed() -> dict[str, str]:
    """Return the version by name of every installed package."""
    packages: dict[str, str] = {}
    for package in distributions():
        # The first on the path is the one that is imported.
        packages.setdefault(canonicalize_name(package.metadata["Name"] or ""), package.version)
    return packages


def versions(names: Iterable[str]) -> dict[str, str]:
    """Return the version by name of these packages, without those that are not installed."""
    packages = installed()
    return {name: packages[key] for name in names if (key := canonicalize_name(name)) in packages}


def pinned(lock: str) -> dict[str, set[str]]:
    """Return the versions by name that the text of a requirements.lock pins."""
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^\s;\\]+)", lock, flags=re.MULTILINE):
        versions.setdefault(canonicalize_name(name), set()).add(version)
    return versions


def check_pinned(packages: Sequence[str], lock: Path) -> None:
    """Check that an image can install the packages that a model's module imports.

    Raises
    ------
    ConfigError
        A package of `model.packages` is not in the lock, or not installed.
    """
    if not packages:
        return
    locked, available = pinned(lock.read_text("utf-8")), installed()
    for package in packages:
        name = canonicalize_name(package)
        if name not in locked:
            allowed = f"a package that {lock.name} pins: add it to your dependencies and update the lock"
            raise ConfigError("model.packages", value=package, allowed=allowed)
        if name not in available:
            allowed = f"a package that is installed: `uv pip install -r {lock.name}`"
            raise ConfigError("model.packages", value=package, allowed=allowed)


def check(lock: Path, environment: Mapping[str, str], python: str) -> list[Finding]:
    """Run every check that needs no project.

    Parameters
    ----------
    lock
        The requirements.lock to compare with.
    python
        The running version, as ``3.11.8``.
    """
    required_python, requires = required()
    packages = installed()
    locked = lock.read_text("utf-8") if lock.is_file() else ""
    return [
        check_python(python, required_python),
        *check_packages(requires, packages),
        check_lock(locked, packages),
        check_sqlite(sqlite3.sqlite_version_info),
        check_bytecode(environment),
        check_processors(_cores(), environment),
    ]


def check_python(version: str, required: str) -> Finding:
    """Compare the running Python with the required one."""
    if SpecifierSet(required).contains(version, prereleases=True):
        return Finding("python", "ok", version)
    return Finding(
        "python", "fail", f"{version}, not {required}", "Create the environment with a newer Python."
    )


def check_packages(requires: Sequence[str], packages: Mapping[str, str]) -> list[Finding]:
    """Return a finding per package that is missing or outside its bounds, else one for all."""
    if not requires:
        return [
            Finding(
                "packages", "warn", f"{DISTRIBUTION} is not installed: its bounds are unknown", _REINSTALL
            )
        ]
    requirements = [Requirement(text) for text in requires]
    requirements = [
        requirement
        for requirement in requirements
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    ]
    violations = [each for requirement in requirements if (each := _violation(requirement, packages))]
    versions = ", ".join(f"{name} {packages[name]}" for name in _MAIN_PACKAGES if name in packages)
    return violations or [Finding("packages", "ok", f"{versions}; {len(requirements)} within their bounds")]


def _violation(requirement: Requirement, packages: Mapping[str, str]) -> Finding | None:
    name, version = requirement.name, packages.get(canonicalize_name(requirement.name))
    if version is None:
        return Finding(name, "fail", "not installed", _REINSTALL)
    if requirement.specifier.contains(version, prereleases=True):
        return None
    reason = f": {_BREAKS[name]}" if name in _BREAKS else ""
    return Finding(name, "fail", f"{version} is outside {requirement.specifier}{reason}", _REINSTALL)


def check_lock(locked: str, packages: Mapping[str, str]) -> Finding:
    """Compare the installed packages with the text of a requirements.lock."""
    if not pinned(locked):
        return Finding("lock", "warn", "no requirements.lock to compare with", "Restore it from git.")
    differences = [
        f"{name} {version} (locked {expected})"
        for name, (expected, version) in unlocked(locked, packages).items()
    ]
    if not differences:
        return Finding("lock", "ok", "all packages match requirements.lock")
    return Finding("lock", "warn", shown(differences, 4), _REINSTALL)


def unlocked(locked: str, packages: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return the packages whose installed version differs from the text of a requirements.lock.

    Returns
    -------
    dict of str to (str, str)
        Locked and installed version by name. Locked packages that are not installed are for other systems.
    """
    return {
        name: (", ".join(sorted(versions)), packages[name])
        for name, versions in pinned(locked).items()
        if name in packages and packages[name] not in versions
    }


def check_sqlite(version: tuple[int, ...]) -> Finding:
    """Check the version of SQLite that Python was built with."""
    text = ".".join(map(str, version))
    if version >= _OLDEST_SQLITE:
        return Finding("sqlite", "ok", text)
    oldest = ".".join(map(str, _OLDEST_SQLITE))
    return Finding("sqlite", "fail", f"{text}; Prefect needs {oldest}", "Use a Python with a newer SQLite.")


def check_bytecode(environment: Mapping[str, str]) -> Finding:
    """Check that Python writes bytecode."""
    if not environment.get("PYTHONDONTWRITEBYTECODE"):
        return Finding("bytecode", "ok", "written")
    return Finding(
        "bytecode",
        "warn",
        "PYTHONDONTWRITEBYTECODE is set: each start recompiles the packages, three times slower",
        "Unset PYTHONDONTWRITEBYTECODE.",
    )


def check_processors(cores: int, environment: Mapping[str, str]) -> Finding:
    """Compare the threads of a fit with the cores of the machine."""
    threads = environment.get("OMP_NUM_THREADS", "")
    detail = f"{cores} cores" + (f", OMP_NUM_THREADS {threads}" if threads else "")
    if cores < 2:
        return Finding("cores", "warn", detail, "Use two or more, so that serving stays fast during a fit.")
    if threads.isdecimal() and int(threads) > cores:
        return Finding("cores", "warn", detail, f"Set OMP_NUM_THREADS to {cores} at most, or unset it.")
    return Finding("cores", "ok", detail)


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # a container may have fewer than the machine
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
