"""Tables as people write them, at the command line: read, said, or refused by the line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from mlops.config.project_folder import load_params
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
