"""A password in every address that a project may name: no command shows it or writes it where others read."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from mlops.cli.program import app
from mlops.ledger.entry import Entry
from mlops.project.context import Project
from tests.flows.orchard import HISTORY, Told, plums

Say = Callable[..., Told]
CANARY = "c4nary-p4ss"
# Port 9 of this machine refuses.
FAR = f"ada:{CANARY}@127.0.0.1:9"

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "init": ("{table}", "--target", "ripe", "--try", "0"),
    "ingest": ("https://" + FAR + "/rows.csv",),
    "predict": ("{table}",),
    "score": ("{table}", "out.csv"),
    "why": ("none",),
    "reproduce": ("1",),
    "rollback": ("1",),
    "backup": ("{backup}",),
    "restore": ("{backup}",),
    "data check": ("{table}",),
    "data diff": ("HEAD",),
    "data checkout": ("HEAD",),
    "labels add": ("{table}",),
    "schedule set": ("monitor", "1d"),
    "schedule pause": ("monitor",),
    "schedule resume": ("monitor",),
    "schedule unset": ("monitor",),
}
"""What a command needs to come to an address; others need nothing."""


def commands() -> list[str]:
    root = typer.main.get_command(app)
    names = []
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        below = getattr(command, "commands", None)
        names += [f"{name} {each}" for each in below] if below else [name]
    return names


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("rows") / "plums.csv"
    plums(0, HISTORY, season=0).to_csv(file, index=False)
    return file


@pytest.fixture
def root(stamp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a password in the address of every server, remote and source."""
    folder = tmp_path / "plums"
    subprocess.run(["git", "clone", "-q", str(stamp), str(folder)], check=True)
    env = folder / ".env"
    env.write_text(
        (stamp / ".env").read_text()
        + f"MLFLOW_TRACKING_URI=http://{FAR}\nPREFECT_API_URL=http://{FAR}/api\nROWS={CANARY}\n"
    )
    config = folder / ".dvc" / "config.local"
    config.write_text(
        f"[core]\n    remote = far\n['remote \"far\"']\n    url = s3://plums\n    endpointurl = http://{FAR}\n"
        f"    access_key_id = ada\n    secret_access_key = {CANARY}\n"
    )
    subprocess.run(["git", "remote", "set-url", "origin", f"https://{FAR}/plums.git"], cwd=folder, check=True)
    for secret in (env, config, folder / ".git" / "config"):
        secret.chmod(0o600)
    params = folder / "params.yaml"
    source = "target: ripe\n  source: https://ada:${ROWS}@127.0.0.1:9/rows.csv?sig=${ROWS}"
    params.write_text(params.read_text().replace("target: ripe", source))
    return folder


def readable(root: Path) -> list[str]:
    """The files with the canary that others than the owner may read, by the files' own modes."""
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    return [
        str(path) for path in files if path.stat().st_mode & 0o077 and CANARY.encode() in path.read_bytes()
    ]


def test_no_command_shows_a_password(
    say: Say, root: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert set(ARGUMENTS) <= set(commands())
    places = {"table": str(table), "backup": str(tmp_path / "b.tar")}
    shown: dict[str, str] = {}
    try:
        for name in commands():
            words = [word.format(**places) for word in ARGUMENTS.get(name, ())]
            told = say(root, *name.split(), *words)
            if CANARY in told.out + told.err:
                shown[name] = told.out + told.err
    finally:
        say(root, "down", "--serving")
    assert shown == {}
    assert readable(root) == []
    entries: list[Entry] = Project.at(root).ledger.entries()
    assert CANARY not in repr([entry.record for entry in entries])
    # Where it says which server it is about, the login's name is there and the password is not.
    status = say(root, "status").out
    assert "http://ada:***@127.0.0.1:9" in status
    assert "http://ada:***@127.0.0.1:9" in say(root, "doctor").out


def test_a_ledger_s_password_is_shown_by_no_command_either(
    say: Say, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (root / ".env").open("a") as env:
        env.write(f"MLOPS_LEDGER_URI=nodialect://{FAR}/plums\n")
    for words in (["status"], ["doctor"], ["why", "none"], ["data", "log"]):
        told = say(root, *words)
        assert CANARY not in told.out + told.err
        assert "ada:***@" in told.out + told.err or words[0] == "why", words
