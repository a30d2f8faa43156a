"""A command at a terminal that cannot show every character."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SAYS = r"""
import sys
from mlops.cli.terminal import show_any_character
show_any_character()
sys.stdout.write("Gr\xfcn \u2026 0,4 \u2212 0,5 \u2192 \u2265 \u2500 \u6f22 \udcff\n")
sys.stderr.write("\u2026\n")
"""


def said(program: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env={"PATH": os.environ["PATH"], **environment},
        capture_output=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("environment", "shown"),
    [
        ({"PYTHONIOENCODING": "ascii"}, b"Grun ... 0,4 - 0,5 -> >= - ? ?\n"),
        ({"PYTHONIOENCODING": "iso-8859-1"}, b"Gr\xfcn ... 0,4 - 0,5 -> >= - ? ?\n"),
        ({"PYTHONIOENCODING": "utf-8"}, "Grün … 0,4 − 0,5 → ≥ ─ 漢 ?\n".encode()),
        (
            {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
            b"Grun ... 0,4 - 0,5 -> >= - ? ?\n",
        ),
    ],
    ids=["ascii", "latin-1", "utf-8", "C"],
)
def test_no_character_ends_a_command(environment: dict[str, str], shown: bytes) -> None:
    done = said(SAYS, **environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout == shown
    assert done.stderr.strip() in (b"...", "…".encode())


def test_without_it_the_same_command_fails() -> None:
    done = said(SAYS.replace("\nshow_any_character()", ""), PYTHONIOENCODING="ascii")
    assert b"UnicodeEncodeError" in done.stderr


def test_the_program_begins_with_it() -> None:
    done = said(
        "import sys; sys.argv = ['mlops', '-C', '/grün…', 'status']; from mlops.cli import main; main()",
        PYTHONIOENCODING="ascii",
    )
    assert b"Traceback" not in done.stderr
    assert b"grun..." in done.stderr
