from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlops.cli import main
from tests.flows.orchard import Told, stamped


@pytest.fixture(scope="session")
def stamp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that nothing runs for."""
    return stamped(tmp_path_factory.mktemp("still") / "plums")


@pytest.fixture
def project(stamp: Path) -> Iterator[Path]:
    """The still project; its params.yaml is put back afterwards."""
    params = (stamp / "params.yaml").read_text()
    yield stamp
    (stamp / "params.yaml").write_text(params)


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Told]]:
    """Run the program in this process, as its console script does."""
    environment, handlers = dict(os.environ), list(logging.getLogger("mlops").handlers)

    def run(project: Path, *words: str) -> Told:
        monkeypatch.setattr(sys, "argv", ["mlops", "--project", str(project), *words])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        code = ended.value.code
        return Told(code if isinstance(code, int) else 0, out, err, 0.0)

    yield run
    logging.getLogger("mlops").handlers[:] = handlers
    os.environ.clear()
    os.environ.update(environment)
