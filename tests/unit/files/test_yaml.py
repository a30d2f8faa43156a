from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dvc.utils.serialize import loads_yaml
from hypothesis import given
from hypothesis import strategies as st

from mlops.errors import ConfigError, UsageError
from mlops.files import yaml

WORDS = st.text(st.characters(exclude_categories=["Cs", "Co", "Cn"]), max_size=12)


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("a: [1, größer]\n", "utf-8")
    assert yaml.read(path) == {"a": [1, "größer"]}


@pytest.mark.parametrize(
    ("text", "value"),
    [("6e-2", 0.06), ("on", "on"), ("no", "no"), ("012", 12), ("0o14", 12), ("1:30", "1:30"), ("true", True)],
)
def test_a_value_is_what_dvc_takes_it_for(text: str, value: object) -> None:
    assert yaml.parse(text, file="params.yaml") == loads_yaml(text) == value


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"a: 1\nb: [\n", r"rules\.yaml: line 2: got .*, allowed: YAML"),
        (b"a: 1\na: 2\n", r"rules\.yaml: line 2: got .*duplicate key.*, allowed: YAML with each key once"),
        (b"a: !!python/name:os.system\n", r"rules\.yaml: line 1: got .*, allowed: YAML"),
        (b"a: \x00", r"rules\.yaml: the file: got .*, allowed: YAML"),
        (b"a: 2013-02-30", r"rules\.yaml: the file: got 'day is out of range.*, allowed: YAML"),
        (b"a: \xe4", r"rules\.yaml: the file: got 'bytes that are not UTF-8', allowed: text"),
    ],
)
def test_what_is_no_yaml_is_named_by_its_line(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / "rules.yaml").write_bytes(content)
    with pytest.raises(ConfigError, match=f"^{problem}"):
        yaml.read(tmp_path / "rules.yaml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"There is no file .*rules\.yaml\. Check the path"):
        yaml.read(tmp_path / "rules.yaml")


@given(WORDS | st.sampled_from(["true", "1e3", "0o17", "a\nb", "~", "2013-07-04", "- x", "größe: #1", "😀"]))
def test_text_on_one_line_is_read_as_itself(text: str) -> None:
    line = yaml.yaml_line(text)
    assert "\n" not in line
    assert loads_yaml(f"{line}: 1  # of the text") == {text: 1}


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("age", "age"),
        ("Plan Größe", "Plan Größe"),
        ({"type": "number", "min": 0}, "{type: number, min: 0}"),
        (["a b", "true"], "[a b, 'true']"),
    ],
)
def test_what_needs_no_quotes_has_none(value: Any, line: str) -> None:
    assert yaml.yaml_line(value) == line


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | WORDS,
        lambda each: st.lists(each) | st.dictionaries(WORDS, each),
    )
)
def test_what_is_dumped_is_read_again(value: Any) -> None:
    assert yaml.parse(yaml.dump(value), file="") == value
