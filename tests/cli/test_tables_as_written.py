"""Tables as people write them, at the command line: read, said, or refused by the line."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from mlops.config.paths import LAKE
from mlops.config.project_folder import load_params
from mlops.data.lake import Lake
from mlops.project.context import Project
from tests.flows.orchard import Told

Say = Callable[..., Told]


def cars(rows: int, *, unknown: str = "?") -> str:
    """Six columns that lack a value in some rows each, two boxes, padded text, below a title."""
    rng = np.random.default_rng(0)
    columns = ["cyl", "displ", "hp", "weight", "accel", "yr"]
    lines = ["Cars of 1970", "", ", ".join([*columns, "origin", "promo", "gift", "mpg"])]
    for row in range(rows):
        measures = [unknown if rng.random() < 0.05 else str(rng.integers(1, 400)) for _ in columns]
        tick = row % 3 == 0
        origin = ("usa", "japan", "?")[row % 3]
        lines.append(
            ", ".join(
                [*measures, origin, "X" if tick else "", "1" if tick else "", str(9 + 2 * tick + row % 7)]
            )
        )
    return "\n".join(lines) + "\n"


def test_missing_words_boxes_padding_and_a_title_lose_nothing(say: Say, tmp_path: Path) -> None:
    (tmp_path / "cars.csv").write_text(cars(300), "utf-8")
    folder = tmp_path / "project"
    said = say(folder, "init", str(tmp_path / "cars.csv"), "--target", "mpg", "--try", "0")
    assert said.code == 0, said.err
    assert "300 rows added" in said.out
    assert 'line 1, "Cars of 1970", is a title and was not read' in said.out
    assert "hp has '?' in" in said.out
    params = load_params(folder / "params.yaml")
    assert set(params.data.missing) == {"cyl", "displ", "hp", "weight", "accel", "yr"}
    assert params.data.features["promo"] == params.data.features["gift"] == "category"
    assert params.data.formats["origin"].to_params() == {"strip": True}  # in requests, too
    assert "X in 33.3% of the rows, missing in the others" in (folder / "params.yaml").read_text("utf-8")

    (tmp_path / "more.csv").write_text(cars(60, unknown="nil"), "utf-8")
    said = say(folder, "data", "check", str(tmp_path / "more.csv"))
    assert "hp is not a number (if it is missing: data.missing, {hp: [nil]}): " in said.out + said.err
    text = (folder / "params.yaml").read_text("utf-8").replace("['?']", "['?', nil]")
    (folder / "params.yaml").write_text(text, "utf-8")
    assert "60 good, 0 for quarantine" in say(folder, "data", "check", str(tmp_path / "more.csv")).out


def sales(rows: int, begin: str, *, english: bool) -> tuple[pd.DataFrame, str]:
    """A table, and how a program in Germany or one in England writes it."""
    rng = np.random.default_rng(len(begin))
    days = pd.date_range(begin, periods=rows, tz="UTC")
    worth = rng.integers(1, 4000, rows)
    profit = (rng.integers(-200_000, 200_000, rows)) / 100
    share, weight = rng.integers(0, 60, rows), rng.integers(900, 4000, rows)
    frame = pd.DataFrame(
        {"sold_on": days, "worth": worth, "profit": profit, "share": share, "weight": weight}
    ).astype(dict.fromkeys(["worth", "share", "weight"], float))
    lines = [";".join(frame) if not english else ",".join(frame)]
    for row in frame.itertuples(index=False):
        day = f"{row.sold_on:%B %d, %Y}" if english else f"{row.sold_on:%d.%m.%Y}"
        cells = [day, f"{row.worth:,.0f}", f"{row.profit:,.2f}", f"{row.share:.0f}%", f"{row.weight:.0f} lb"]
        if english:
            lines.append(",".join(f'"{cell}"' for cell in cells))
        else:
            german = [cell.translate(str.maketrans(",.", ".,")) for cell in cells[1:]]
            lines.append(";".join([day, *german]))
    return frame, "\n".join(lines) + "\n"


def test_a_table_in_german_is_read_by_its_values_and_one_in_english_is_refused_after_it(
    say: Say, tmp_path: Path
) -> None:
    first, written = sales(200, "2013-01-03", english=False)
    (tmp_path / "sales.csv").write_text(written, "utf-8")
    folder = tmp_path / "project"
    said = say(folder, "init", str(tmp_path / "sales.csv"), "--target", "worth", "--try", "0")
    assert said.code == 0, said.err
    assert "200 rows added" in said.out
    assert "worth holds numbers with points between thousands" in said.out
    assert "profit holds numbers with points between thousands, decimal commas" in said.out
    assert "share holds numbers with percent signs" in said.out
    assert "weight holds numbers with the unit lb" in said.out
    assert "sold_on is the event time" in said.out
    _, written = sales(60, "2013-09-01", english=True)
    (tmp_path / "more.csv").write_text(written, "utf-8")
    project = Project.at(folder)
    assert project.schema.time == "sold_on"
    lake = Lake(project.folder.root / LAKE, project.params.data.on_duplicate)
    pd.testing.assert_frame_equal(
        lake.read(project.schema)[list(first)].reset_index(drop=True), first, check_dtype=False
    )
    said = say(folder, "data", "check", str(tmp_path / "more.csv"))
    assert said.code == 3
    assert re.search(r"profit holds -?[\d,]+\.\d\d, and data.formats reads profit by", said.out), said.out
