"""Trainings without a server: the stages of a project are run here, and its version is recorded."""

from __future__ import annotations

from pathlib import Path

from mlops.adapters.dvc.tree import DvcTree
from mlops.adapters.git.worktree import Tree
from mlops.config.paths import BUNDLE
from mlops.ledger.entry import Entry
from mlops.ledger.records import ModelRegistered
from mlops.project.context import Project
from mlops.stages.pipeline import STAGES
from tests.ledger_rows import made


def learn(root: Path) -> Entry[ModelRegistered]:
    """Train, and keep the model as a version."""
    DvcTree(root).reproduce(stages=STAGES)
    commit = Tree(root).commit_paths(["data", "dvc.lock", "build", "params.yaml"], "Train")
    project = Project.at(root)
    digest, version = project.keep_bundle(root / BUNDLE).digest, str(len(project.ledger.entries()))
    return project.ledger.record(made(ModelRegistered, digest=digest, version=version, commit=commit))
