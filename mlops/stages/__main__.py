"""``python -m mlops.stages NAME``: the commands of dvc.yaml."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from mlops.errors import MlopsError
from mlops.stages.pipeline import STAGES

if TYPE_CHECKING:
    pass

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """Run the stage that the command line names, in the current folder; return the exit code."""
    if len(arguments) != 1 or arguments[0] not in STAGES:
        sys.stderr.write(f"usage: python -m mlops.stages {'|'.join(STAGES)}\n")
        return 2
    try:
        STAGES[arguments[0]](Path.cwd())
    except MlopsError as exc:
        sys.stderr.write(f"{exc}\n")
        return exc.exit_code
    return 0


if __name__ == "__main__":
    logging.basicConfig(format="%(message)s")
    logging.getLogger("mlops").setLevel(logging.INFO)  # the progress of a search
    sys.exit(main(sys.argv[1:]))
