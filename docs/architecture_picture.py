"""Draw docs/images/architecture.svg from the import contract: the packages, top down.

Run it as ``.venv/bin/python docs/architecture_picture.py`` after changing the layers in pyproject.toml
or the first line of a package. The rows are the contract's own, the words the packages' docstrings, so the
picture shows what `make contracts` checks.
"""

from __future__ import annotations

import ast
import sys
import textwrap
import tomllib
from html import escape
from pathlib import Path

__all__ = ["draw", "rows", "summary"]

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
WAY_OF_A_ROW = (
    "data",
    "training",
    "evaluation",
    "model",
    "deployment",
    "serving",
    "prediction_log",
    "monitoring",
)
"""Where a row of data passes, in order; docs/architecture.md tells it step by step."""
COLOURS = {
    "#dbeafe": ("cli", "orchestration", "project", "scaffold", "stages"),
    "#ffedd5": ("adapters", "serving"),
    "#dcfce7": WAY_OF_A_ROW,
}
WIDTH, MARGIN, GAP, LINE, TITLE = 1120, 24, 10, 17, 15
BASE = "#f1f5f9"


def rows() -> list[list[str]]:
    """Return the packages by row, as the contract has them: what stands above imports what stands below."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(each["layers"] for each in contracts if each.get("containers") == ["mlops"])
    return [[name.strip() for name in row.split("|")] for row in layers]


def summary(package: str) -> str:
    """Return the first sentence of a package's docstring."""
    folder = ROOT / "mlops" / package
    file = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    return (
        (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").partition("\n\n")[0].replace("``", "")
    )


def draw() -> str:
    """Return the picture as SVG."""
    parts, top = [], 84
    for row in rows():
        width = (WIDTH - 2 * MARGIN - GAP * (len(row) - 1)) / len(row)
        texts = [textwrap.wrap(summary(name), int((width - 190) / 6.9)) for name in row]
        height = max(40, 14 + LINE * max(len(lines) for lines in texts))
        for at, (name, lines) in enumerate(zip(row, texts, strict=True)):
            parts += _box(name, lines, MARGIN + at * (width + GAP), top, width, height)
        top += height + GAP
    return "\n".join([*_head(top + 8), *parts, "</svg>"]) + "\n"


def _head(height: float) -> list[str]:
    return [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" '
        f'height="{height:.0f}" font-family="system-ui, sans-serif" role="img">',
        "<title>The packages of mlops, top down: a row imports what stands below it</title>",
        f'<rect width="{WIDTH}" height="{height:.0f}" fill="#ffffff"/>',
        _text("The packages of mlops/", MARGIN, 34, size=20, weight=700),
        _text("A row imports what stands below it, never what stands above.", MARGIN, 60, colour="#475569"),
        *_badge(1, WIDTH - MARGIN - 302, 55),
        _text("to", WIDTH - MARGIN - 283, 60, colour="#475569"),
        *_badge(len(WAY_OF_A_ROW), WIDTH - MARGIN - 256, 55),
        _text("the way of a row of data, and again", WIDTH - MARGIN - 238, 60, colour="#475569"),
    ]


def _box(name: str, lines: list[str], left: float, top: float, width: float, height: float) -> list[str]:
    fill = next((colour for colour, names in COLOURS.items() if name in names), BASE)
    middle = top + height / 2
    badge = _badge(WAY_OF_A_ROW.index(name) + 1, left + 22, middle) if name in WAY_OF_A_ROW else []
    first = middle + 5 - LINE * (len(lines) - 1) / 2
    return [
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="7" fill="{fill}" '
        'stroke="#94a3b8"/>',
        *badge,
        _text(name, left + 44, middle + 5, size=TITLE, weight=700),
        *(_text(line, left + 178, first + LINE * at, colour="#334155") for at, line in enumerate(lines)),
    ]


def _badge(number: int, x: float, y: float) -> list[str]:
    return [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="11" fill="#15803d"/>',
        f'<text x="{x:.1f}" y="{y + 4.5:.1f}" font-size="13" font-weight="700" fill="#ffffff" '
        f'text-anchor="middle">{number}</text>',
    ]


def _text(
    text: str, x: float, y: float, *, size: int = 13, weight: int = 400, colour: str = "#0f172a"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}" fill="{colour}">'
        f"{escape(text)}</text>"
    )


if __name__ == "__main__":
    if sys.argv[1:] not in ([], ["--check"]):
        sys.exit("usage: python docs/architecture_picture.py [--check]")
    if sys.argv[1:]:
        drawn = PICTURE.read_text("utf-8") == draw()
        sys.exit(
            0 if drawn else "docs/images/architecture.svg is out of date: run docs/architecture_picture.py"
        )
    PICTURE.write_text(draw(), "utf-8")
