"""The files of a new project, proposed for a table: pure text, with what was found beside each line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlops import __version__
from mlops.config.durations import format_duration
from mlops.errors import UsageError
from mlops.files.yaml import yaml_line

if TYPE_CHECKING:
    import pandas as pd

    from mlops.scaffold.profile import Profile

__all__ = ["Proposal", "Span", "Windows", "slug"]

_SCAFFOLD = Path(__file__).parent
_FILES = {
    "params.yaml": "params.yaml.jinja",
    "README.md": "README.md.jinja",
    "Makefile": "Makefile.jinja",
    "tests/test_project.py": "test_project.py.jinja",
}
_HELD_OUT = 0.2
"""The share of the table's rows that is held out."""
_STRETCHED = 3.0
"""A table that reaches so many times as far as nearly all of its rows is stretched by the others."""
_LEAST_SPAN = timedelta(minutes=10)
"""Shorter than that there are no windows: their unit is a minute."""
_A_WINDOW = 100
"""Rows that a monitored window should have at least."""


@dataclass(frozen=True)
class Span:
    """How the rows of a table lie in time.

    Parameters
    ----------
    begin, end
        Of the oldest row and the newest.
    recent
        From when on the newest fifth of the rows is.
    middle
        Between these two lie nearly all rows; None where nobody looked.
    """

    begin: datetime
    end: datetime
    recent: datetime
    middle: tuple[datetime, datetime] | None = None

    @classmethod
    def of(cls, times: pd.Series[Any], begin: datetime, end: datetime) -> Span:
        """Look at the times of some rows from all of the table, in UTC.

        Raises
        ------
        UsageError
            They lie too close to one another to hold the newest out.
        """
        import pandas as pd

        if end - begin < _LEAST_SPAN:
            same = begin == end
            raise UsageError(
                f"--time: {times.name} is {begin:%Y-%m-%d %H:%M}"
                + (" in every row" if same else f" to {end:%H:%M}")
                + ": too short to hold out the newest rows.",
                remedy=f"Exclude it (--exclude {times.name}), or name a column of times that differ.",
            )
        places = times.quantile([0.01, 1 - _HELD_OUT, 0.99], "lower")
        low, recent, high = (moment.to_pydatetime() for moment in pd.DatetimeIndex(places))
        return cls(begin, end, recent, (low, high))

    @property
    def warning(self) -> str:
        """A warning about outlying times; empty where there are none."""
        if self.middle is None:
            return ""
        low, high = self.middle
        if self.end - self.begin < _STRETCHED * (high - low):
            return ""
        return (
            f"runs from {self.begin:%Y-%m-%d} to {self.end:%Y-%m-%d}, but 98% of the rows lie between "
            f"{low:%Y-%m-%d} and {high:%Y-%m-%d}: check the other rows, for windows "
            "end at the newest."
        )


@dataclass(frozen=True)
class Windows:
    """How much of the table is fitted, held out and watched, from how its rows lie in time.

    Parameters
    ----------
    span
        From the oldest row to the newest; None where rows have no time.
    rows
        With a label.
    recent
        The stretch that holds the newest fifth of the rows; None where they come evenly.
    """

    span: timedelta | None
    rows: int
    recent: timedelta | None = None

    @property
    def unit(self) -> timedelta:
        """The block of time whose rows rise and fall together, and that windows are counted in."""
        # By the newer rows, too: one of long ago makes no hours days.
        span = self.span or timedelta(days=100)
        if self.recent:
            span = min(span, self.recent / _HELD_OUT)
        for unit in (timedelta(days=1), timedelta(hours=1)):
            if span >= 20 * unit:
                return unit
        return timedelta(minutes=1)

    @cached_property
    def holdout(self) -> timedelta:
        """The newest rows, predicted out of fold."""
        if self.span is None:
            return 20 * self.unit  # of 100: a share of the rows
        most = (self.span - self.gap) // self.unit - 1  # some are fitted
        return max(2, min(most, round(self._recent / self.unit))) * self.unit

    @property
    def gap(self) -> timedelta:
        """Left out between what is fitted and what is held out."""
        return self.unit

    @property
    def train(self) -> timedelta:
        """How far back fitted rows reach: to the oldest."""
        if self.span is None:
            return 80 * self.unit
        return (ceil(self.span / self.unit) + 1) * self.unit

    @property
    def monitor(self) -> timedelta:
        """A window of served rows that is judged: long enough to hold some, no longer than the holdout."""
        if self.span is None or not self.rows:
            return 7 * self.unit
        enough = ceil(_A_WINDOW * self._recent / (_HELD_OUT * self.rows) / self.unit)
        return max(7, min(enough, self.holdout // self.unit), ceil(self.holdout / self.unit / 2)) * self.unit

    @property
    def gate_rows(self) -> int:
        """Rows that the gate must have to compare on."""
        return _within(20, self.rows * _HELD_OUT / 3, 500)

    @property
    def monitor_rows(self) -> int:
        """Rows that a window must have to be judged."""
        return _within(30, self._expected / 4, 500)

    @property
    def retrain_rows(self) -> int:
        """New rows with their label that a retraining must have."""
        return _within(30, self._expected / 2, 1000)

    @property
    def _expected(self) -> float:
        """Rows that a monitored window will have, if they go on coming as they did."""
        if self.span is None:
            return self.rows / 10
        share = self.monitor / self._recent if self._recent else 1 / _HELD_OUT
        return self.rows * min(1.0, _HELD_OUT * share)

    @property
    def _recent(self) -> timedelta:
        assert self.span is not None
        return self.span * _HELD_OUT if self.recent is None else self.recent


@dataclass(frozen=True)
class Proposal:
    """A project for a table.

    Parameters
    ----------
    name
        What the data is called, see `slug`.
    source
        The table it was made from, as a person named it.
    span
        How the rows lie in time, where they have one.
    contract
        The text of contract.yaml; None for a project without.
    """

    name: str
    profile: Profile
    source: str
    rows: int
    span: Span | None = None
    contract: str | None = None

    @property
    def windows(self) -> Windows:
        """What is fitted, held out and watched."""
        labelled, span = round(self.rows * (1 - self.profile.unlabelled)), self.span
        if span is None:
            return Windows(None, labelled)
        return Windows(span.end - span.begin, labelled, span.end - span.recent)

    def files(self) -> Mapping[str, str]:
        """Return the content of each file by its path in the project."""
        import jinja2

        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_SCAFFOLD),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,  # it is no markup
        )
        environment.filters |= {"yaml": yaml_line, "duration": format_duration, "comment": _comment}
        facts: dict[str, Any] = {"it": self, "profile": self.profile, "windows": self.windows}
        facts["version"] = __version__
        fixed = {"contract.yaml": self.contract} if self.contract else {}
        facts["width"] = (
            max(len(yaml_line(feature.name) + feature.type) for feature in self.profile.features) + 4
        )
        made = {path: environment.get_template(of).render(facts) for path, of in _FILES.items()}
        return made | fixed


def slug(text: str) -> str:
    """Return a name as params.yaml wants it: lower case, digits and dashes.

    Raises
    ------
    UsageError
        Nothing of it is left.
    """
    name = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-").lstrip("0123456789-")
    if not name:
        raise UsageError(
            f"No name for the data can be made of {text!r}.", remedy="Give one with --name, as churn."
        )
    return name


def _comment(value: Any) -> str:
    """Return what may stand behind a # in YAML: a value of the table can hold a line break."""
    return "".join(letter if letter.isprintable() else " " for letter in str(value))


def _within(least: int, value: float, most: int) -> int:
    return int(min(most, max(least, value)))
