from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mlops.adapters.matplotlib import draw

ROOT = Path(__file__).parents[2]
TABLES = {
    "roc.csv": b"false_positive_rate,true_positive_rate\n0,0\n0.2,0.8\n1,1\n",
    "calibration.csv": b"predicted,observed,rows\n0.1,0.2,5\n0.6,0.5,5\n",
    "confusion.csv": b"actual,predicted\nTrue,True\nTrue,False\nFalse,False\n",
    "importances.csv": b"feature,importance\n%b,0.2\n1,-0.01\n" % (b"long" * 30),
    "residuals.csv": b"predicted,residual\n1.0,0.5\n2.0,-0.5\n",
}


def test_every_table_of_the_evaluation_becomes_a_picture() -> None:
    pictures = draw(TABLES)
    assert set(pictures) == {name.replace(".csv", ".png") for name in TABLES}
    assert all(picture.startswith(b"\x89PNG") for picture in pictures.values())
    assert sum(map(len, pictures.values())) < 300_000


def test_equal_tables_are_equal_pictures() -> None:
    assert draw(TABLES) == draw(TABLES)


@pytest.mark.parametrize(
    "table", [{"roc.csv": b"false_positive_rate,true_positive_rate\n"}, {"own.csv": b"a\n1\n"}]
)
def test_what_has_no_rows_or_is_not_ours_is_not_drawn(table: dict[str, bytes]) -> None:
    assert draw(table) == {}


def test_labels_that_were_only_predicted_or_only_true_have_their_place() -> None:
    rows = b"actual,predicted\na,b\nb,b\n"
    assert list(draw({"confusion.csv": rows})) == ["confusion.png"]
    many = "actual,predicted\n" + "".join(f"l{i},l{i + 1}\n" for i in range(40))
    assert list(draw({"confusion.csv": many.encode()})) == ["confusion.png"]


def test_drawing_asks_for_no_window_and_keeps_no_figure() -> None:
    code = "import sys, mlops.adapters.matplotlib; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
