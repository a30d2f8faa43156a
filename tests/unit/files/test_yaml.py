from __future__ import annotations

from pathlib import Path

import pytest

from mlops.errors import ConfigError, UsageError
from mlops.files import yaml


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("a: [1, größer]\n", "utf-8")
    assert yaml.read(path) == {"a": [1, "größer"]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a: 1\nb: [\n", r"rules\.yaml: line 3: got .*, allowed: YAML"),
        (b"a: \x00", r"rules\.yaml: the file: got .*, allowed: YAML"),
        (b"a: \xe4", r"rules\.yaml: the file: got 'bytes that are no UTF-8', allowed: text"),
    ],
)
def test_what_is_no_yaml_is_named_by_its_line(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "rules.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=f"^{said}"):
        yaml.read(tmp_path / "rules.yaml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no file .*rules\.yaml\. Check the path"):
        yaml.read(tmp_path / "rules.yaml")
