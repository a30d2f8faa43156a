"""The program's own version."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from mlops import __version__
from tests.flows.orchard import Told


def test_the_version_is_printed_without_a_command(say: Callable[..., Told], tmp_path: Path) -> None:
    told = say(tmp_path, "--version")
    assert (told.code, told.out) == (0, f"mlops {__version__}\n")
