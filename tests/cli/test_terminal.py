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


C = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def begun(folder: Path, typed: bytes) -> str:
    """What `mlops init` of a table of this name says in a locale of ASCII."""
    (folder / "grün….csv").write_text("größe,reif\n1,ja\n", "utf-8")
    command = [Path(sys.executable).with_name("mlops"), "-C", folder, "init", typed, "--target", "fleißig"]
    done = subprocess.run(
        command, env={"PATH": os.environ["PATH"], **C}, cwd=folder, capture_output=True, check=False
    )
    assert done.returncode == 2, done.stderr
    return done.stderr.decode("ascii")


def test_a_table_is_found_by_its_name_whatever_the_locale(tmp_path: Path) -> None:
    assert "the table has no column 'fleissig'; it has grosse, reif" in begun(tmp_path, "grün….csv".encode())


def test_a_name_that_is_no_utf8_is_no_traceback(tmp_path: Path) -> None:
    assert "no table gr?n.csv" in begun(tmp_path, b"gr\xfcn.csv")
