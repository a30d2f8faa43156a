from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops.errors import BundleError
from mlops.model.custom import CustomModel, functions, missing_functions

ROWS = pd.DataFrame({"x": [0.0, 1.0]})


def own(values: Any) -> CustomModel:
    return CustomModel(
        fit=lambda *_: None, save=lambda _: b"", load=lambda _: None, predict=lambda *_: values
    )


def test_a_module_has_the_four_functions_or_none() -> None:
    module = ModuleType("mine")
    for name in ("fit", "save", "load"):
        setattr(module, name, len)
    assert (functions(module), missing_functions(module)) == (None, ["predict"])
    module.predict = len  # type: ignore[attr-defined]
    assert functions(module) == CustomModel(len, len, len, len)


def test_of_two_classes_the_second_ones_probability_will_do() -> None:
    one = own([0.25, 0.75]).checked_predictions(None, ROWS, ["no", "yes"])
    both = own([[0.75, 0.25], [0.25, 0.75]]).checked_predictions(None, ROWS, ["no", "yes"])

    assert one == both
    assert (one.values, one.scores) == (["no", "yes"], [0.25, 0.75])


def test_values_are_answers_of_a_regression() -> None:
    assert own([3, 4.5]).checked_predictions(None, ROWS, None).values == [3.0, 4.5]


@pytest.mark.parametrize(
    ("values", "classes", "said"),
    [
        ([1.0], None, r"shape \(1,\), not \(2,\)"),
        ([[0.5, 0.5]] * 2, ["a", "b", "c"], r"shape \(2, 2\), not \(2, 3\)"),
        ([0.1, 0.2], ["a", "b", "c"], r"shape \(2,\), not \(2, 3\)"),
        ([1.0, np.inf], None, "not finite"),
        ([[0.5, 0.4]] * 2, ["a", "b"], "add up to 1"),
        ([[1.5, -0.5]] * 2, ["a", "b"], "below 0"),
        ([0.5, 1.5], ["a", "b"], "below 0"),
    ],
)
def test_what_cannot_be_an_answer_is_refused(values: Any, classes: list[str] | None, said: str) -> None:
    with pytest.raises(BundleError, match=said):
        own(values).checked_predictions(None, ROWS, classes)
