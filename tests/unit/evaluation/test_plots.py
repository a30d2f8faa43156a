from __future__ import annotations

import numpy as np

from mlops.evaluation import plots
from mlops.task_types.predictions import Predictions

LABELS = [False, True]


def test_residuals_are_the_truth_less_what_was_predicted() -> None:
    table = plots.residuals([1.0, 2.0], Predictions([1.5, 1.0], None), None)
    assert table.to_dict("list") == {"predicted": [1.5, 1.0], "residual": [-0.5, 1.0]}


def test_residuals_of_many_rows_are_of_rows_from_the_first_to_the_last() -> None:
    said = [float(i) for i in range(10_000)]
    table = plots.residuals(np.zeros(10_000), Predictions(said, None), None)
    assert len(table) == 2000
    assert (table["predicted"].iloc[0], table["predicted"].iloc[-1]) == (0.0, 9999.0)


def test_each_task_has_the_plots_that_tell_of_it() -> None:
    labels, values = Predictions([True, False], [0.9, 0.2]), Predictions([0.9, 0.2], None)
    asked = (plots.roc, plots.confusion, plots.residuals)
    assert [len(plot([True, False], labels, LABELS)) > 0 for plot in asked] == [True, True, False]
    assert [len(plot([1.0, 0.0], values, None)) > 0 for plot in asked] == [False, False, True]
