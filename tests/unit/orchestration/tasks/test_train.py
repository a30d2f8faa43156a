from __future__ import annotations

from pathlib import Path

import pytest

from mlops.errors import ConfigError
from mlops.orchestration.tasks.train import reproduce
from tests.ripening import PARAMS


def test_windows_that_contradict_one_another_stop_a_training_before_anything_else(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(f"{PARAMS}train:\n  holdout: 4d\n")
    with pytest.raises(ConfigError, match=r"train\.holdout: got '4d', allowed: 5d or more"):
        reproduce(tmp_path, tmp_path)
