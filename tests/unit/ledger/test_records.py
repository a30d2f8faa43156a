"""Every record class: it comes back from JSON as it was, and is told from every other."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops.ledger.codec import UnreadableValueError, decode
from mlops.ledger.data_records import SourcePosition
from mlops.ledger.drift_report import DriftReport
from mlops.ledger.judgement import GateJudged
from mlops.ledger.record import Record
from mlops.ledger.records import RECORDS, DriftChecked, ModelPromoted, ModelRegistered
from mlops.ledger.served_window import ServedWindow
from tests.ledger_rows import COMPARISON, made

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
st.register_type_strategy(datetime, st.datetimes(timezones=st.just(UTC)))
st.register_type_strategy(float, st.floats(allow_nan=False, allow_infinity=False))
st.register_type_strategy(SourcePosition, st.builds(SourcePosition, name=st.text(), position=JSON))


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.kind)
@given(data=st.data())
def test_a_record_comes_back_from_json_as_it_was(kind: type[Record], data: st.DataObject) -> None:
    record = data.draw(st.from_type(kind))
    assert kind.from_dict(json.loads(json.dumps(record.to_dict(), allow_nan=False))) == record


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.kind)
def test_a_record_is_frozen_has_a_kind_and_says_a_sentence(kind: type[Record]) -> None:
    record = made(kind)
    assert is_dataclass(kind)
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert record.sentence.endswith((".", "!")) or record.sentence
    assert kind.__doc__


def test_every_record_class_is_in_the_register_once() -> None:
    assert Counter(RECORDS) == Counter(Record.__subclasses__())


def test_no_two_kinds_have_one_name_or_one_key() -> None:
    keys = [record.key_template for record in RECORDS if record.key_template is not None]
    assert len({record.kind for record in RECORDS}) == len(RECORDS)
    assert len(set(keys)) == len(keys)
    assert len({key.partition(":")[0] for key in keys}) == len(keys)  # else two may render alike


@pytest.mark.parametrize("kind", [record for record in RECORDS if record.key_template], ids=lambda k: k.kind)
def test_a_key_names_fields_that_there_are(kind: type[Record]) -> None:
    key = made(kind).key(cause="c1", as_of=datetime(2026, 1, 1, tzinfo=UTC))
    assert key is not None
    assert "{" not in key


def test_the_same_window_of_the_same_promotion_has_one_key_whatever_came_of_it() -> None:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    calm, raised = made(DriftChecked), made(DriftChecked, raised=True, confirmed=True)
    assert calm.key(cause="c1", as_of=when) == raised.key(cause="c1", as_of=when)
    assert DriftChecked.key_of(cause="c1", as_of=when) == calm.key(cause="c1", as_of=when)
    assert calm.key(cause="c2", as_of=when) != calm.key(cause="c1", as_of=when)


def test_a_promotion_has_all_that_was_registered() -> None:
    registered = made(ModelRegistered, version="7", digest="e" * 64)
    promoted = ModelPromoted.of(registered, fitted_until=None)
    assert {f.name: getattr(promoted, f.name) for f in fields(registered)} == vars(registered)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"mood": "good"}, "the field mood is unknown"),
        ({"comparison": COMPARISON.__dict__ | {"mood": 1}}, "the field comparison.mood is unknown"),
        ({"comparison": 7}, "comparison is 7"),
        ({"outcome": "draw"}, "the field outcome is 'draw'"),
        ({"fitted_until": "soon"}, "the field fitted_until is 'soon', no time"),
        ({"promote": 1}, "the field promote is 1, not bool"),
        ({"confidence": "0.95"}, "the field confidence is '0.95', not float"),
        ({"champion_columns": ["a", 1]}, r"the field champion_columns\[1\] is 1, not str"),
    ],
)
def test_what_a_record_does_not_declare_is_refused_by_its_path(change: dict[str, Any], match: str) -> None:
    value = made(GateJudged).to_dict()
    assert GateJudged.from_dict(value) == made(GateJudged)
    with pytest.raises(UnreadableValueError, match=match):
        GateJudged.from_dict(value | change)


def test_a_missing_field_is_named_and_one_with_a_default_is_not_missed() -> None:
    value = made(GateJudged).to_dict()
    del value["window"]
    assert GateJudged.from_dict(value).window is None
    del value["metric"]
    with pytest.raises(UnreadableValueError, match="the field metric is missing"):
        GateJudged.from_dict(value)


def test_a_nested_value_is_read_alone() -> None:
    moment = "2026-01-01T00:00:00+00:00"
    window = decode(ServedWindow, {"start": moment, "end": moment, "rows": 3})
    assert window == ServedWindow(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), 3)
    with pytest.raises(UnreadableValueError, match="no object"):
        decode(DriftReport, [])
