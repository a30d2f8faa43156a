"""The pictures of the tour: each is there, is taken by the script, and is no burden to clone."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"
MOST_BYTES = 200_000


def test_the_tour_shows_what_the_script_takes():
    shown = set(re.findall(r"\]\(images/([a-z-]+)\.png\)", (DOCS / "tour.md").read_text()))
    taken = set(re.findall(r'Shot\(\s*"([a-z-]+)"', (DOCS / "screenshots.py").read_text()))
    assert shown == taken
    assert shown == {path.stem for path in (DOCS / "images").glob("*.png")}


def test_no_picture_is_large():
    assert [p.name for p in (DOCS / "images").glob("*.png") if p.stat().st_size > MOST_BYTES] == []
