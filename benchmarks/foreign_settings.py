"""Whether a project lives the same day on other people's machines.

    .venv/bin/python benchmarks/foreign_settings.py [--together] [--only NAME ...] [--out FILE]

All the while nothing may leave the machine: a guard in each process refuses and records it, and each
command has a terminal, at which some packages report what they do not elsewhere.

Each setting is one that a shell, a home folder or a machine may bring along. With it a project is begun
on a small table, trained, served, watched, retrained and stopped, and every command must end as it does
without the setting: the same exit code and the same figures. This runs them one at a time, or with
--together in four days, as the stories of the tests do, and writes the table. A run that was stopped
resumes: what is in the table is not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from mlops.files.ports import free_port

__all__ = ["DAYS", "PLAIN", "SETTINGS", "Setting", "at_a_terminal", "differences", "lived", "together"]

OUT = Path(__file__).parent / "results" / "foreign_settings.md"
GUARD = Path(__file__).parents[1] / "tests" / "guard"
MLOPS = Path(sys.executable).with_name("mlops")
PORTS = ("GATEWAY_PORT", "GATEWAY_API_PORT", "MLFLOW_PORT", "PREFECT_PORT")
NOBODY = "http://127.0.0.1:9"
"""The address of no server."""
A_DAY, HISTORY, SERVED = 30, 26, 12


@dataclass(frozen=True)
class Setting:
    """What a machine brings along.

    Parameters
    ----------
    day
        In which of the combined days it is; those of one day do not contradict each other.
    variables
        Of the environment; ``{home}`` stands for the home folder. None unsets one.
    files
        In the home folder, by path.
    before
        Called in each process before it becomes a command.
    absent
        What must not be in the home folder afterwards.
    """

    day: int
    variables: Mapping[str, str | None] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[], object] | None = None
    absent: tuple[str, ...] = ()


def _few_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))


def _git(text: str) -> Mapping[str, str]:
    return {".gitconfig": text}


_PROFILES = 'active = "theirs"\n[profiles.theirs]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n'

SETTINGS: Mapping[str, Setting] = {
    # Proxies
    "HTTP_PROXY": Setting(
        1, {"HTTP_PROXY": NOBODY, "http_proxy": NOBODY, "NO_PROXY": "localhost,.corp.example"}
    ),
    "HTTPS_PROXY": Setting(1, {"HTTPS_PROXY": NOBODY, "https_proxy": NOBODY}),
    "ALL_PROXY, SOCKS": Setting(2, {"ALL_PROXY": "socks5://127.0.0.1:9", "all_proxy": "socks5://127.0.0.1:9"}),
    # Certificates that are gone
    "SSL_CERT_FILE": Setting(3, {"SSL_CERT_FILE": "/nowhere.pem", "REQUESTS_CA_BUNDLE": "/nowhere.pem"}),
    # Prefect's
    "PREFECT_API_DATABASE_CONNECTION_URL": Setting(
        1,
        {"PREFECT_API_DATABASE_CONNECTION_URL": "sqlite+aiosqlite:///{home}/theirs.db"},
        absent=("theirs.db",),
    ),
    "PREFECT_PROFILE": Setting(1, {"PREFECT_PROFILE": "theirs"}, {".prefect/profiles.toml": _PROFILES}),
    "PREFECT_HOME": Setting(2, {"PREFECT_HOME": "{home}/their-prefect"}, absent=("their-prefect",)),
    "PREFECT_SERVER_*": Setting(
        3,
        {"PREFECT_SERVER_API_AUTH_STRING": "ada:secret", "PREFECT_SERVER_API_PORT": "1"},
    ),
    "PREFECT_LOGGING_*": Setting(
        4, {"PREFECT_LOGGING_LEVEL": "DEBUG", "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "1"}
    ),
    # MLflow's
    "MLFLOW_EXPERIMENT_NAME": Setting(1, {"MLFLOW_EXPERIMENT_NAME": "theirs", "MLFLOW_RUN_ID": "0" * 32}),
    "MLFLOW_BACKEND_STORE_URI": Setting(
        2, {"MLFLOW_BACKEND_STORE_URI": "sqlite:///{home}/theirs-mlflow.db"}, absent=("theirs-mlflow.db",)
    ),
    "MLFLOW_DEFAULT_ARTIFACT_ROOT": Setting(
        3, {"MLFLOW_DEFAULT_ARTIFACT_ROOT": "{home}/artifacts", "MLFLOW_HTTP_REQUEST_TIMEOUT": "0"},
        absent=("artifacts",),
    ),
    "MLFLOW_REGISTRY_URI": Setting(4, {"MLFLOW_REGISTRY_URI": NOBODY, "MLFLOW_TRACKING_AUTH": "theirs"}),
    "WEB_CONCURRENCY": Setting(
        1, {"WEB_CONCURRENCY": "3", "UVICORN_ROOT_PATH": "/theirs", "FLASK_DEBUG": "1"}
    ),
    # DVC's
    "DVC_*": Setting(2, {"DVC_STUDIO_TOKEN": "token", "DVC_STUDIO_URL": NOBODY, "DVC_EXP_AUTO_PUSH": "1"}),
    "DVC's global configuration": Setting(
        1, files={".config/dvc/config": "[core]\n    autostage = true\n    analytics = true\n"}
    ),
    # Docker's
    "DOCKER_HOST": Setting(1, {"DOCKER_HOST": "tcp://127.0.0.1:9", "DOCKER_TLS_VERIFY": "1"}),
    # git's
    "git: log.showSignature, colours": Setting(
        1, files=_git("[log]\n\tshowSignature = true\n\tdate = relative\n[color]\n\tui = always\n")
    ),
    "git: i18n.commitEncoding": Setting(
        2, files=_git("[i18n]\n\tcommitEncoding = ISO-8859-1\n\tlogOutputEncoding = ISO-8859-1\n")
    ),
    "git: core.autocrlf": Setting(3, files=_git("[core]\n\tautocrlf = true\n\teol = crlf\n")),
    "git: commit.gpgSign, hooks, no name": Setting(
        4,
        files=_git(
            "[commit]\n\tgpgSign = true\n[gpg]\n\tprogram = /nowhere\n[core]\n\thooksPath = /nowhere\n"
            "\tfsmonitor = true\n[status]\n\tshowUntrackedFiles = no\n[init]\n\tdefaultBranch = trunk\n"
            "[user]\n\tuseConfigOnly = true\n[feature]\n\tmanyFiles = true\n"
        ),
    ),
    "GIT_DIR": Setting(
        4, {"GIT_DIR": "/nowhere/.git", "GIT_WORK_TREE": "/nowhere", "GIT_INDEX_FILE": "/nowhere/i"}
    ),
    # Languages
    "LC_ALL=C": Setting(2, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    "LC_ALL=de_DE.ISO-8859-1": Setting(3, {"LC_ALL": "de_DE.ISO-8859-1", "LANGUAGE": "de"}),
    "PYTHONIOENCODING": Setting(1, {"PYTHONIOENCODING": "ascii"}),
    # Python's
    "PYTHONWARNINGS": Setting(3, {"PYTHONWARNINGS": "default", "PYTHONDEVMODE": "1"}),
    "PYTHONOPTIMIZE": Setting(4, {"PYTHONOPTIMIZE": "1", "PYTHONSAFEPATH": "1", "PYTHONHASHSEED": "1"}),
    "PYARROW_IGNORE_TIMEZONE": Setting(1, {"PYARROW_IGNORE_TIMEZONE": "1"}),
    # The machine's
    "TZ": Setting(2, {"TZ": "Pacific/Chatham"}),
    "umask 077": Setting(3, before=lambda: os.umask(0o077)),
    "1,024 files": Setting(4, before=_few_files),
    "no HOME": Setting(4, {"HOME": None}),
    "a HOME that cannot be written to": Setting(3, {"HOME": "/proc"}),
    "NO_COLOR, narrow": Setting(2, {"NO_COLOR": "1", "COLUMNS": "20", "TERM": "dumb"}),
}  # fmt: skip
PLAIN = Setting(0)
DAYS = (1, 2, 3, 4)


def together(settings: Iterable[Setting]) -> Setting:
    """Return several settings as one."""
    parts = list(settings)
    files: dict[str, str] = {}
    for path, text in (item for part in parts for item in part.files.items()):
        files[path] = files.get(path, "") + text
    calls = [part.before for part in parts if part.before]

    def before() -> None:
        for call in calls:
            call()

    variables = {name: value for part in parts for name, value in part.variables.items()}
    return Setting(0, variables, files, before, tuple(each for part in parts for each in part.absent))


def table() -> pd.DataFrame:
    """Return rows of 38 days; the first are to begin with, the others are served."""
    rng = np.random.default_rng(7)
    n = A_DAY * (HISTORY + SERVED)
    size = rng.normal(size=n).round(3)
    colour = rng.choice(["rot", "grün", "weiß"], n)
    chance = 1 / (1 + np.exp(-2 * size - (colour == "grün")))
    times = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(np.arange(n) * (1440 // A_DAY), "min")
    return pd.DataFrame(
        {
            "stück": [f"s{i}" for i in range(n)],
            "at": times.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "größe": size,
            "farbe": colour,
            "reif": np.where(rng.random(n) < chance, "ja", "nein"),
        }
    )


def lived(folder: Path, setting: Setting) -> dict[str, Any]:
    """Live a project's day in a folder; return how each command ended, by its words."""
    home, root = folder / "home", folder / "projekt"
    home.mkdir()
    root.mkdir()
    for path, text in setting.files.items():
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text, "utf-8")
    (root / ".env").write_text("".join(f"MLOPS_{port}={free_port()}\n" for port in PORTS), "utf-8")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "LOCPATH": _locales(),
        "PYTHONPATH": str(GUARD),
        "MLOPS_GUARD": str(folder / "outside"),
    }
    for name, value in setting.variables.items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = value.replace("{home}", str(home))
    rows, cut = table(), A_DAY * HISTORY
    rows[:cut].to_csv(folder / "früher.csv", index=False)
    rows[cut:].drop(columns="reif").to_csv(folder / "später.csv", index=False)
    rows[cut:][["stück", "reif"]].to_csv(folder / "reif.csv", index=False)
    end = f"{pd.Timestamp(rows['at'].iloc[-1]) + pd.Timedelta(days=2):%Y-%m-%dT%H:%M}"

    ends: dict[str, Any] = {}

    def do(*words: str) -> None:
        command = [str(MLOPS), "--project", str(root), *words, "--json"]
        done = at_a_terminal(command, cwd=folder, env=environment, before=setting.before)
        ends[words[0]] = {"code": done.returncode, **_figures(words[0], done.stdout, done.stderr)}

    try:
        do("init", "früher.csv", "--target", "reif", "--time", "at", "--key", "stück", "--try", "0")
        _settled(root)
        do("train")
        do("up")
        do("deploy")
        do("predict", "später.csv")
        do("labels", "add", "reif.csv")
        do("monitor", "--as-of", end)
        do("retrain", "--as-of", end)
        do("data", "log")
    finally:
        do("down", "--serving")
    record = folder / "outside"
    ends["outside"] = record.read_text("utf-8").splitlines() if record.exists() else []
    ends["left"] = [name for name in setting.absent if (home / name).exists()]
    return ends


def at_a_terminal(
    command: list[str], *, cwd: Path, env: Mapping[str, str], before: Callable[[], object] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command whose stdin and stderr are a terminal; its results are collected, as a script does."""
    terminal, behind = pty.openpty()
    with subprocess.Popen(
        command,
        cwd=cwd,
        env=dict(env),
        stdin=behind,
        stdout=subprocess.PIPE,
        stderr=behind,
        preexec_fn=before,
    ) as process:
        os.close(behind)
        shown: list[bytes] = []
        reader = threading.Thread(target=_follow, args=(terminal, shown), daemon=True)
        reader.start()
        assert process.stdout is not None
        out = process.stdout.read()
        process.wait()
        reader.join(1)  # what a command leaves running may hold the terminal open
    os.close(terminal)
    texts = (part.decode("utf-8", "replace") for part in (out, b"".join(shown)))
    return subprocess.CompletedProcess(command, process.returncode, *texts)


def _follow(terminal: int, shown: list[bytes]) -> None:
    with suppress(OSError):  # how a terminal ends that nobody holds any more
        while text := os.read(terminal, 65536):
            shown.append(text)


def _settled(root: Path) -> None:
    """Choose a quick model, and what serves: a process, whether an engine answers or not."""
    params = root / "params.yaml"
    if not params.exists():
        return
    text = (
        params.read_text("utf-8").replace("target: auto", "target: process").replace("folds: 3", "folds: 1")
    )
    params.write_text(text, "utf-8")
    git = ["git", "-c", "user.name=ada", "-c", "user.email=ada@example.org", "commit", "-qam", "Grün …"]
    subprocess.run(git, cwd=root, check=True)


def _figures(verb: str, out: str, err: str) -> dict[str, Any]:
    """Return what must be the same of a command's result, or why it failed."""
    try:
        result = json.loads(out)
    except ValueError:
        return {"out": out[-500:], "err": err[-1500:]}
    if "error" in result:
        return {"error": result["error"], "err": err[-1500:]}
    if verb == "predict":
        return {"predictions": [[each["prediction"], each["score"]] for each in result["predictions"]]}
    if verb == "data":
        return {"versions": len(result["versions"])} if "versions" in result else {"keys": sorted(result)}
    kept = ("rows", "features", "data", "result", "refused", "added")
    return {name: _without_port(result[name]) for name in kept if name in result}


def _without_port(value: Any) -> Any:
    return re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1", value) if isinstance(value, str) else value


def _locales() -> str:
    """Return a folder with a locale that is not UTF-8, made where the machine can make one."""
    made = Path(tempfile.gettempdir()) / "mlops-locales"
    if shutil.which("localedef") and not (made / "de_DE.ISO-8859-1").exists():
        made.mkdir(exist_ok=True)
        command = ["localedef", "-i", "de_DE", "-f", "ISO-8859-1", str(made / "de_DE.ISO-8859-1")]
        subprocess.run(command, capture_output=True, check=False)
    return str(made)


def differences(plain: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Return the commands that ended otherwise, with both ends; and what was left in the home folder."""
    names = dict.fromkeys((*plain, *other))
    return {name: (plain.get(name), other.get(name)) for name in names if plain.get(name) != other.get(name)}


def rows(*, combined: bool) -> dict[str, Setting]:
    """Return the rows of the table: each setting by itself, or each day with all of its settings."""
    if not combined:
        return dict(SETTINGS)
    days = {day: {name: each for name, each in SETTINGS.items() if each.day == day} for day in DAYS}
    return {f"{'; '.join(day)}, together": together(day.values()) for day in days.values()}


def main(only: list[str], out: Path, *, combined: bool) -> int:
    """Run the settings one at a time, and write the table after each."""
    done = _read(out)
    plain: dict[str, Any] | None = None
    for name, setting in rows(combined=combined).items():
        if (only and name not in only) or name in done:
            continue
        if plain is None:
            plain = _timed(PLAIN)[0]
        ends, seconds = _timed(setting)
        found = differences(plain, ends)
        print(f"{name}: {found or 'same'}", flush=True)
        done[name] = (f"otherwise: {', '.join(found)}" if found else _SAME, f"{seconds:.0f}")
        out.write_text(_table(done), "utf-8")
    return int(any(verdict != _SAME for verdict, _ in done.values()))


def _timed(setting: Setting) -> tuple[dict[str, Any], float]:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mlops-foreign-") as folder:
        return lived(Path(folder), setting), time.monotonic() - started


_SAME = "the same"
_HEAD = """\
# Foreign settings

```
.venv/bin/python benchmarks/foreign_settings.py
```

Each setting by itself, and all of a day together, over `init`, `train`, `up`, `deploy`, `predict`,
`labels add`, `monitor`, `retrain`, `data log` and `down`: whether every command ended as it does without
the setting, with the same figures, and nothing left the machine.

| setting | outcome | seconds |
|---|---|---:|
"""


def _table(done: Mapping[str, tuple[str, str]]) -> str:
    names = [name for name in (*rows(combined=True), *SETTINGS) if name in done]
    lines = [f"| {name} | {done[name][0]} | {done[name][1]} |" for name in names]
    return _HEAD + "\n".join(lines) + "\n"


def _read(out: Path) -> dict[str, tuple[str, str]]:
    """Return what the table holds; a setting that ended otherwise is run again."""
    lines = out.read_text("utf-8").splitlines() if out.is_file() else []
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    known = rows(combined=True).keys() | SETTINGS.keys()
    return {row[0]: (row[1], row[2]) for row in cells if row[0] in known and row[1] == _SAME}


if __name__ == "__main__":
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--only", nargs="*", default=[], choices=SETTINGS)
    words.add_argument("--together", action="store_true", help="all settings, in four days")
    words.add_argument("--out", type=Path, default=OUT)
    chosen = words.parse_args()
    sys.exit(main(chosen.only, chosen.out, combined=chosen.together))
