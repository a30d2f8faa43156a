"""A person at the command lines of git and DVC, in the plums' project; no server runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import LAKE
from mlops.data.lake import Lake
from mlops.project.context import Project
from mlops.stages.pipeline import STAGES
from tests.flows.orchard import HISTORY, plums, stamped

IN_GIT = ["dvc.lock", "build", "data"]


def learned(folder: Path) -> Path:
    """Return a project as an ingestion and a training leave it: data, a model, all committed."""
    root = stamped(folder)
    ingested(root, 0, HISTORY)
    DvcTree(root).reproduce(stages=STAGES)
    Tree(root).commit_paths(IN_GIT, "Train")
    return root


def ingested(root: Path, first_day: int, days: int) -> str:
    """Add some days of plums as a version of the data; return its commit."""
    added = Lake(root / LAKE).append(plums(first_day, days, season=0), Project.at(root).schema)
    DvcTree(root).add(LAKE, new=added.files)
    return Tree(root).commit_paths([f"{LAKE}.dvc", "data/.gitignore"], "Add plums")


def dvc(root: Path, *words: str) -> str:
    """Run the command as a person does whose shell has the environment's Python on PATH."""
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    env["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{env['PATH']}"
    done = subprocess.run(["dvc", *words], cwd=root, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"dvc {' '.join(words)}: {done.stderr}"
    return done.stdout


def told(root: Path, *words: str) -> Any:
    """Return what a command of DVC says to machines."""
    return json.loads(dvc(root, *words, "--json"))


def git(root: Path, *words: str) -> str:
    """Run git as the person."""
    who = ("-c", "user.name=ada", "-c", "user.email=ada@example.org")
    done = subprocess.run(["git", *who, *words], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def files(root: Path) -> dict[str, bytes]:
    """Return the lake's files on disk."""
    lake = root / LAKE
    return {str(file.relative_to(lake)): file.read_bytes() for file in lake.rglob("*") if file.is_file()}
