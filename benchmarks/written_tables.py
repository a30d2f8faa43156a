"""A known table in thousands of ways of writing: read back with the same values, or a column is named.

    .venv/bin/python benchmarks/written_tables.py [--draws 2000] [--seed 20130110]

Each draw writes the same kind of table in another dialect, encoding and spelling: separators, quotes,
thousands, decimals, signs, currencies, units, percent signs, dates, words for what is missing, padding, JSON
strings. It is then read as `mlops init` reads it or, in every second draw, as `mlops ingest` reads a later
file of a project whose first file was plain. Right is: the same values; or a refusal, or a sentence, that
names the column. The printed table is benchmarks/results/written_tables.md. Ends with 1 where a draw gave
other values, or was silent.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from mlops.errors import MlopsError
from mlops.project.init import profiled
from mlops.scaffold.profile_options import ProfileOptions
from mlops.schema import Schema
from mlops.tables.conform import lenient
from mlops.tables.readers import read_batches

SEED = 20130110
ROWS = 80
PLAIN = Schema(
    {"price": "number", "count": "number", "share": "number", "sold_on": "date", "kind": "category"},
    "outcome",
    "regression",
)
SPACES = (" ", "\u00a0", "\u202f", "\u2009")
NUMBERS = {
    "plain": ("", "."),
    "1,234.5": (",", "."),
    "1.234,5": (".", ","),
    "1234,5": ("", ","),
    "1 234,5": (" ", ","),
    "1 234.5": (" ", "."),
    "1'234.5": ("'", "."),
    "1\u2019234.5": ("\u2019", "."),
}
UNITS = ("", "", "", "$", "\u20ac", "\u00a3", "EUR ", " kr", " lb", " km", "CHF ")
SIGNS = ("-", "-", "-", "\u2212", "()", "1-", "+")
DATES: dict[str, Callable[[pd.Timestamp], str]] = {
    "2013-01-03": lambda day: f"{day:%Y-%m-%d}",
    "03.01.2013": lambda day: f"{day:%d.%m.%Y}",
    "01/03/2013": lambda day: f"{day:%m/%d/%Y}",
    "03-Jan-2013": lambda day: f"{day:%d-%b-%Y}",
    "January 03, 2013": lambda day: f"{day:%B %d, %Y}",
    "2013-1-3": lambda day: f"{day.year}-{day.month}-{day.day}",
    "20130103": lambda day: f"{day:%Y%m%d}",
    "epoch s": lambda day: f"{int(day.timestamp())}",
    "epoch ms": lambda day: f"{int(day.timestamp() * 1000)}",
    "2013-01-03 15:05:00 UTC": lambda day: f"{day:%Y-%m-%d} 00:00:00 UTC",
}
MISSING = ("", "", "NA", "?", "nil", "-")
NUMERIC = ("price", "count", "share", "outcome")


@dataclass(frozen=True)
class Style:
    """How the numbers of a column are written."""

    thousands: str = ""
    decimal: str = "."
    unit: str = ""
    sign: str = "-"
    places: int = 2
    is_fixed: bool = True
    pad: str = ""

    def write(self, number: float) -> str:
        """Return a number as this style writes it."""
        whole, _, rest = f"{abs(number):.{self.places}f}".partition(".")
        rest = rest if self.is_fixed else rest.rstrip("0")
        groups = f"{int(whole):,}".replace(",", self.thousands)
        digits = groups + (self.decimal + rest if rest else "")
        unit = self.unit
        text = digits + unit if unit.startswith(" ") or unit == "%" else unit + digits
        if number < 0:
            text = {"()": f"({text})", "1-": f"{digits}-{unit.strip() and ' ' + unit.strip()}"}.get(
                self.sign, ("-" if self.sign == "+" else self.sign) + text
            )
        elif self.sign == "+" and number > 0:
            text = "+" + text
        return self.pad + text + self.pad


@dataclass(frozen=True)
class Variant:
    """A table, written."""

    content: bytes
    suffix: str
    values: pd.DataFrame
    told: dict[str, str] = field(default_factory=dict)


def known_table(drawn: np.random.Generator) -> pd.DataFrame:
    """Draw the values: those of a column differ widely, and some are missing."""
    price = np.round(drawn.lognormal(drawn.choice([3, 6, 8]), drawn.choice([0.4, 2.0]), ROWS), 2)
    price[drawn.random(ROWS) < 0.2] *= -1 if drawn.random() < 0.6 else 1
    return pd.DataFrame(
        {
            "price": price,
            "count": drawn.integers(0, drawn.choice([90, 990, 5000, 2_000_000]), ROWS).astype(float),
            "share": np.round(drawn.random(ROWS) * 100, 1),
            "sold_on": pd.Timestamp("2013-01-03") + pd.to_timedelta(drawn.integers(0, 700, ROWS), "D"),
            "kind": drawn.choice(["red", "blue", "green"], ROWS),
            "outcome": np.round(drawn.normal(5000, 3000, ROWS), 2),
        }
    )


def draw(drawn: np.random.Generator) -> Variant:
    """Write a table in a way that is drawn."""
    table = known_table(drawn)
    name = str(drawn.choice(list(NUMBERS)))
    of_file = NUMBERS[name]
    told = {"numbers": name}
    styles = {}
    stranger = str(drawn.choice(["share", "outcome"])) if drawn.random() < 0.3 else ""
    for column in NUMERIC:  # at most one is written as no other of its file
        thousands, decimal = of_file if column != stranger else NUMBERS[str(drawn.choice(list(NUMBERS)))]
        thousands = str(drawn.choice(SPACES)) if thousands == " " else thousands
        unit = "%" if column == "share" and drawn.random() < 0.4 else str(drawn.choice(UNITS))
        unit = "" if column == "count" and drawn.random() < 0.7 else unit
        places = {"price": int(drawn.choice([0, 2, 2, 3])), "count": 0, "share": 1, "outcome": 2}[column]
        styles[column] = Style(
            thousands, decimal, unit, str(drawn.choice(SIGNS)), places, bool(drawn.random() < 0.7),
            " " if drawn.random() < 0.1 else "",
        )  # fmt: skip
        table[column] = table[column].round(places)
    date, missing = str(drawn.choice(list(DATES))), str(drawn.choice(MISSING))
    told |= {"dates": date, "missing": missing}
    rows = table.copy().astype(object)
    for column, style in styles.items():
        rows[column] = [style.write(number) for number in table[column]]
    rows["sold_on"] = [DATES[date](day) for day in table["sold_on"]]
    for column in ("price", "share"):
        gone = drawn.random(ROWS) < drawn.choice([0.0, 0.03, 0.2])
        rows.loc[gone, column] = missing
        table.loc[gone, column] = np.nan
    if drawn.random() < 0.12:
        lines = (json.dumps({k: v or None for k, v in row.items()}) for row in rows.to_dict("records"))
        return Variant("\n".join(lines).encode(), ".jsonl", table, {**told, "file": "JSON lines"})
    return _as_csv(rows, table, told, drawn)


def _as_csv(
    rows: pd.DataFrame, table: pd.DataFrame, told: dict[str, str], drawn: np.random.Generator
) -> Variant:
    separator = str(drawn.choice([",", ",", ";", ";", "\t", "|"]))
    out = io.StringIO()
    end = str(drawn.choice(["\n", "\r\n"]))
    quoting = csv.QUOTE_ALL if drawn.random() < 0.3 else csv.QUOTE_MINIMAL
    writer = csv.writer(out, delimiter=separator, lineterminator=end, quoting=quoting)
    writer.writerow(rows.columns)
    writer.writerows(rows.itertuples(index=False, name=None))
    encoding = str(drawn.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16", "cp1252"]))
    try:
        content = out.getvalue().encode(encoding)
    except UnicodeEncodeError:
        encoding, content = "utf-8", out.getvalue().encode()
    return Variant(content, ".csv", table, {**told, "file": f"separator {separator!r}, {encoding}"})


def by_init(variant: Variant, folder: Path) -> str:
    """Read a table as a new project does, and return what came of it."""
    file = folder / f"table{variant.suffix}"
    file.write_bytes(variant.content)
    try:
        _, profile = profiled([file], ProfileOptions("outcome"))
    except MlopsError as exc:
        return _refused(exc)
    schema = profile.schema()
    sentences = [*profile.decided, *(f"{name}: {why}" for name, why in profile.left_out.items())]
    return _read_back(file, schema, variant.values, sentences)


def by_ingest(variant: Variant, folder: Path) -> str:
    """Read a table as a later file of a project whose first one was plain, and return what came of it."""
    file = folder / f"table{variant.suffix}"
    file.write_bytes(variant.content)
    return _read_back(file, PLAIN, variant.values, [])


def _read_back(file: Path, schema: Schema, values: pd.DataFrame, sentences: list[str]) -> str:
    said = list(sentences)
    columns: dict[str, pd.Series] = {}
    try:
        for frame in read_batches(file, schema, rows=1000, labelled=True, on_found=said.append):
            columns |= dict(lenient(frame, schema).items())
    except MlopsError as exc:
        return _refused(exc)
    outcome = "the same values"
    for name in (*NUMERIC, "sold_on"):
        if name not in columns or not _has_values(columns[name]):
            if not any(name in sentence for sentence in said):
                return f"WRONG: {name} is text, and nothing is said of it"
            outcome = "a column is named, and not read"
        elif (wrong := _differing(columns[name], values[name])) is not None:
            if "nothing" not in wrong or name != "sold_on" or schema is not PLAIN:
                return f"WRONG: {name} has {wrong}"
            outcome = "rows are set aside, with the column"
    return outcome


def _has_values(column: pd.Series) -> bool:
    return column.dtype.kind in "fM" or isinstance(column.dtype, pd.DatetimeTZDtype)


def _differing(read: pd.Series, known: pd.Series) -> str | None:
    """Return the first value that is another one, or none; None where all are the same."""
    if read.dtype.kind != "f":
        ours = read.dt.tz_localize(None).to_numpy("datetime64[s]")
        theirs = known.to_numpy("datetime64[s]")
        lost, differs = np.isnat(ours) & ~np.isnat(theirs), ~np.isnat(ours) & (ours != theirs)
    else:
        ours, theirs = read.to_numpy(float), known.to_numpy(float)
        lost = np.isnan(ours) & ~np.isnan(theirs)
        differs = ~np.isnan(ours) & ~(np.abs(ours - theirs) <= 1e-9 * (1 + np.abs(theirs)))
    if differs.any():
        place = int(np.argmax(differs))
        return f"{read.iloc[place]} in place of {known.iloc[place]}"
    return f"nothing in place of {known.iloc[int(np.argmax(lost))]}" if lost.any() else None


def _refused(exc: MlopsError) -> str:
    names = any(name in str(exc) for name in (*NUMERIC, "sold_on", "kind"))
    return "refused, with the column" if names else f"WRONG: refused without a column: {exc}"


def trials(draws: int, seed: int) -> Iterator[tuple[int, str, Variant, str]]:
    """Draw variants and yield what came of each."""
    with TemporaryDirectory(prefix="mlops-") as folder:
        for number in range(draws):
            variant = draw(np.random.default_rng([seed, number]))
            way, read = ("ingest", by_ingest) if number % 2 else ("init", by_init)
            yield number, way, variant, read(variant, Path(folder))


def main() -> int:
    """Draw, read back, and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--draws", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=SEED)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    counts: Counter[tuple[str, str]] = Counter()
    wrong = 0
    for number, way, variant, outcome in trials(options.draws, options.seed):
        counts[way, outcome.partition(":")[0]] += 1
        if outcome.startswith("WRONG"):
            wrong += 1
            sys.stderr.write(f"{number} {way} {variant.told} {outcome}\n")
    print(f"{options.draws:,} draws, seed {options.seed}\n")
    print("| read by | outcome | draws |\n|---|---|---:|")
    for (way, outcome), count in sorted(counts.items()):
        print(f"| {way} | {outcome} | {count:,} |")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
