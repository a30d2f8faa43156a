"""With --json there is one object on stdout, whatever happens."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flows.orchard import Told
from tests.patience import until

Say = Callable[..., Told]


def told(said: Told) -> dict[str, str]:
    found: dict[str, str] = json.loads(said.out)
    assert set(found) == {"error", "remedy"}
    assert found["remedy"]
    return found


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["trian"], "trian"),
        (["train", "--fast"], "--fast"),
        (["predict"], "rows"),
        (["predict", "rows.csv", "--batch", "0"], "--batch"),
    ],
)
def test_words_that_nobody_understands_are_an_object_too(
    say: Say, project: Path, words: list[str], named: str
) -> None:
    said = say(project, *words, "--json")
    assert said.code == 2
    assert named in told(said)["error"]
    assert said.err == ""


def test_for_a_person_they_are_told_on_stderr(say: Say, project: Path) -> None:
    said = say(project, "train", "--fast")
    assert (said.code, said.out) == (2, "")
    assert "--fast" in said.err


def test_an_error_on_purpose_is_an_object(say: Say, project: Path) -> None:
    said = say(project, "labels", "add", "nowhere.csv", "--json")
    assert said.code == 2
    assert "nowhere.csv" in json.loads(said.out)["error"]


def test_what_nobody_foresaw_is_an_object_and_a_traceback(say: Say, project: Path) -> None:
    from mlops.project import status

    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("of nothing")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(status, "overview", broken)
        said = say(project, "status", "--json")
    assert said.code == 1
    assert told(said)["error"] == "ZeroDivisionError: of nothing"
    assert "Traceback" in said.err


def unread(pipe: int) -> int:
    """Return how many bytes of a pipe nobody has read yet."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


def test_an_interruption_is_an_object(project: Path, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    os.mkfifo(rows)  # to read it waits for a writer
    # Whoever runs the tests in the background has them, and all they start, ignore it.
    heeding = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program = f"{heeding}; import sys; from mlops.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "--project", str(project), "labels", "add", str(rows), "--json"]
    verb = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with rows.open("w") as writing:  # it is there once the verb opens it
        print("plum", file=writing, flush=True)
        # And no longer imports anything once it reads.
        until("reading of the rows", lambda: verb.poll() is not None or not unread(writing.fileno()))
        assert verb.poll() is None
        verb.send_signal(signal.SIGINT)
        out, err = verb.communicate(timeout=20)
    assert verb.returncode == 130, err
    assert told(Told(130, out, err, 0.0))["error"] == "Interrupted."
