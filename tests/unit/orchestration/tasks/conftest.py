from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops.project.context import Project
from tests.flows.orchard import bare


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project with a ledger and nothing in it."""
    with bare(tmp_path) as project:
        yield project
