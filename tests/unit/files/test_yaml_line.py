from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from mlops.files.yaml import yaml_line

WORDS = st.text(st.characters(exclude_categories=["Cs", "Co", "Cn"]), max_size=12)


@given(WORDS | st.sampled_from(["no", "1e3", "0o17", "a\nb", "~", "2013-07-04", "- x", "größe: #1", "😀"]))
def test_every_reader_of_yaml_takes_text_for_itself_on_one_line(text: str) -> None:
    line = yaml_line(text)
    assert "\n" not in line
    assert yaml.safe_load(f"{line}: 1  # said") == {text: 1}
    assert YAML(typ="safe").load(f"{line}: 1  # said") == {text: 1}


@pytest.mark.parametrize(
    ("value", "line"),
    [
        ("age", "age"),
        ("Plan Größe", "Plan Größe"),
        ({"type": "number", "min": 0}, "{type: number, min: 0}"),
        (["a b", "no"], "[a b, 'no']"),
    ],
)
def test_what_needs_no_quotes_has_none(value: Any, line: str) -> None:
    assert yaml_line(value) == line
