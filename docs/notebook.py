"""Run docs/notebooks/drift.ipynb on the demo's project, and keep what it showed.

`make notebook` runs it. The site shows the notebook as it is committed, so it is committed with its outputs.
"""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

__all__ = ["NOTEBOOK", "run"]

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "notebooks" / "drift.ipynb"
MOST_BYTES = 200_000


def run(project: Path, folder: Path) -> NotebookNode:
    """Return the notebook with its outputs, which do not say where on this machine the project is.

    Parameters
    ----------
    project
        What the notebook's ``../../.demo`` is.
    folder
        The working directory of its kernel.
    """
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(folder)}}
    done = NotebookClient(notebook, timeout=600, record_timing=False, resources=resources).execute()
    # As JSON writes it: within the text of the whole notebook.
    place = json.dumps(str(project.resolve()))[1:-1]
    return nbformat.reads(nbformat.writes(done).replace(place, ".demo"), as_version=4)


def main() -> None:
    """Write the notebook with what it shows of .demo."""
    demo = ROOT / ".demo"
    if not demo.is_dir():
        raise SystemExit("There is no .demo: `make demo` makes it.")
    text = nbformat.writes(run(demo, NOTEBOOK.parent)) + "\n"
    if len(text) > MOST_BYTES:
        raise SystemExit(f"The notebook would have {len(text):,} bytes, at most {MOST_BYTES:,} fit.")
    NOTEBOOK.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
