"""What a person sets about the table of a new project."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING

from mlops.column_formats import ColumnFormat
from mlops.errors import UsageError, shown
from mlops.schema import RESERVED

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ProfileOptions", "check_names"]


@dataclass(frozen=True)
class ProfileOptions:
    """What a person sets about the table; all but the target is optional."""

    target: str
    time: str | None = None
    key: str | None = None
    task: str | None = None
    features: Collection[str] = ()
    exclude: Collection[str] = ()
    formats: Mapping[str, ColumnFormat] = field(default_factory=dict)
    missing: Mapping[str, Sequence[str | float]] = field(default_factory=dict)


def check_names(sample: pd.DataFrame, options: ProfileOptions) -> None:
    """Make sure that the columns that a person names are there, each for one thing.

    Raises
    ------
    UsageError
        One is not, or cannot have that role.
    """
    have = [str(name) for name in sample.columns]
    named = {
        "--target": [options.target],
        "--time": [options.time] if options.time else [],
        "--key": [options.key] if options.key else [],
        "--features": list(options.features),
        "--exclude": list(options.exclude),
        "--format": list(options.formats),
        "--missing": list(options.missing),
    }
    for option, names in named.items():
        for name in names:
            if name not in have:
                near = get_close_matches(name, have, 1, 0.6)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise UsageError(
                    f"{option}: the table has no column {name!r}; it has {shown(have, 30)}.",
                    remedy=f"Correct {option}.{hint}",
                )
    roles = [name for name in (options.target, options.time, options.key) if name]
    if twice := next((name for name in roles if roles.count(name) > 1), None):
        raise UsageError(f"{twice!r} is named for two roles.", remedy="Give each role a column of its own.")
    if options.target in options.features:
        raise UsageError(f"--features names the target, {options.target!r}.", remedy="Leave it out.")
    if options.target in RESERVED:
        raise UsageError(
            f"--target: the prediction log has columns of its own, one of them {options.target!r}.",
            remedy=f"Rename the column; not as one of {shown(sorted(RESERVED), 9)}.",
        )
