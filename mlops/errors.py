"""Every error the library raises on purpose.

MlopsError                       exit 1
├── UsageError                   exit 2: the caller's words are wrong
│   ├── ConfigError              a key of params.yaml or a variable of the environment
│   └── NameTakenError           another project is called the same on one server
├── DataError                    rows or columns that cannot be used
│   ├── MissingColumnError
│   ├── UnusableValueError       values of one column that cannot be used
│   ├── EmptyWindowError
│   ├── TooFewRowsError
│   ├── RowError                 one field of one row of a request
│   └── UnknownLabelsError
├── BundleError                  a bundle that is not what its manifest says
├── StageError                   a stage of dvc.yaml failed, or its inputs moved meanwhile
├── UnexpectedError              a step of a flow met a fault in the code
├── NothingPromotedError         there is no model to deploy, monitor or score with yet
├── ConflictError                somebody else holds or moved the thing; a retry may succeed
└── UnavailableError             a service or engine does not answer; a retry may succeed
    └── PortTakenError

Each says what happened, to which thing, and what to do next; `retriable` decides whether
trying again makes sense. A refusal by a gate or a policy is no error: see
`mlops.ledger.outcome`. HTTP status codes are mapped in `mlops.serving` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = [
    "BundleError",
    "ConfigError",
    "ConflictError",
    "DataError",
    "EmptyWindowError",
    "MissingColumnError",
    "MlopsError",
    "NameTakenError",
    "NothingPromotedError",
    "PortTakenError",
    "RowError",
    "StageError",
    "TooFewRowsError",
    "UnavailableError",
    "UnexpectedError",
    "UnknownLabelsError",
    "UnusableValueError",
    "UsageError",
    "shown",
]


def shown(names: Sequence[object], most: int = 5) -> str:
    """Join `names` for a message, bounded: ``a, b, c and 7 more``."""
    head = ", ".join(str(name) for name in names[:most])
    rest = len(names) - most
    return f"{head} and {rest} more" if rest > 0 else head


class MlopsError(Exception):
    """Base of the tree.

    Parameters
    ----------
    message
        What happened, to which thing.
    remedy
        What to do next, a sentence; empty where nothing can be done.
    """

    exit_code = 1
    retriable = False

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class UsageError(MlopsError):
    """The caller's words are wrong."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting that cannot be used: its path, what was given, what is allowed."""

    def __init__(self, path: str, *, given: object, allowed: str, file: str = "params.yaml") -> None:
        super().__init__(
            f"{file}: {path}: got {given!r}, allowed: {allowed}.",
            remedy=f"Edit {path} in {file}.",
        )
        self.path = path
        self.given = given
        self.allowed = allowed


class NameTakenError(UsageError):
    """On a server that projects share, another one has the name of this.

    Parameters
    ----------
    owner, project
        What tells the two apart: the first commit of each.
    """

    def __init__(self, what: str, address: str, *, name: str, owner: str, project: str) -> None:
        super().__init__(
            f"{what} at {address} has another project called {name}: it began with commit {owner}, "
            f"this one with {project}.",
            remedy="Choose another data.name in params.yaml, or give one of them a server of its own "
            "(MLOPS_PREFECT_PORT, MLOPS_MLFLOW_PORT).",
        )
        self.owner = owner


class DataError(MlopsError):
    """Rows or columns that cannot be used."""


class MissingColumnError(DataError):
    """A column that params.yaml names is not in the table."""

    def __init__(
        self,
        missing: Sequence[str],
        *,
        have: Sequence[str],
        where: str,
        remedy: str = "Correct the names under data in params.yaml, or the table.",
    ) -> None:
        super().__init__(f"{where} has no column {shown(missing)}; it has {shown(have, 30)}.", remedy=remedy)
        self.missing = tuple(missing)
        self.have = tuple(have)


class UnusableValueError(DataError):
    """Values of a column are not what it holds.

    Parameters
    ----------
    wrong
        A mask over the column's rows: each value that was refused.
    allowed
        What the values should be: ``a number``.
    """

    def __init__(self, message: str, *, wrong: Any, allowed: str, remedy: str) -> None:
        super().__init__(message, remedy=remedy)
        self.wrong = wrong
        self.allowed = allowed


class EmptyWindowError(DataError):
    """No row falls in the asked window of time."""


class TooFewRowsError(DataError):
    """Fewer rows than a computation needs to mean anything."""


class RowError(DataError):
    """One row of a request cannot be answered: mostly a field is missing or of the wrong type.

    Parameters
    ----------
    row
        Position in the request, from 0.
    field
        The feature's name; None where none is known to be at fault.
    """

    def __init__(self, message: str, *, row: int, field: str | None, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.row = row
        self.field = field


class UnknownLabelsError(DataError):
    """Labels whose id or key no prediction has."""

    def __init__(self, unknown: Sequence[object], *, total: int, by: str) -> None:
        super().__init__(
            f"{len(unknown)} of {total} labels name a {by} that no prediction has: {shown(unknown)}.",
            remedy="Nothing was added. Correct them, or pass --skip-unknown to add the others.",
        )
        self.unknown = tuple(unknown)


class BundleError(MlopsError):
    """A bundle that is not what its manifest says, or holds a type nobody reviewed."""


class StageError(MlopsError):
    """A stage of dvc.yaml failed, or an input of it moved while it ran."""


class UnexpectedError(MlopsError):
    """A step of a flow met what nobody foresaw: a fault in the code, not in what it was given."""

    def __init__(self, step: str, cause: Exception) -> None:
        super().__init__(
            f"The step {step!r} failed: {type(cause).__name__}: {cause}.",
            remedy="This is a fault in the code: its traceback is in the logs of this run in Prefect.",
        )


class NothingPromotedError(MlopsError):
    """The project has no champion yet, or none that serves."""

    def __init__(self, what: str = "promoted", verb: str = "mlops train") -> None:
        super().__init__(f"No model has been {what} yet.", remedy=f"Run `{verb}` first.")


class ConflictError(MlopsError):
    """Somebody else holds or moved the thing."""

    retriable = True


class UnavailableError(MlopsError):
    """A service or engine does not answer.

    Parameters
    ----------
    what
        Its name: ``MLflow``, ``Prefect``, ``the container engine``.
    address
        Where it was asked.
    """

    retriable = True

    def __init__(self, what: str, address: str, *, remedy: str, cause: object = "") -> None:
        because = f" ({cause})" if str(cause) else ""
        super().__init__(f"{what} does not answer at {address}{because}.", remedy=remedy)
        self.what = what
        self.address = address


class PortTakenError(UnavailableError):
    """A port that one of our parts should listen on belongs to another process."""

    retriable = False

    def __init__(self, port: int, *, part: str, owner: str, setting: str) -> None:
        MlopsError.__init__(
            self,
            f"Port {port} for {part} is taken by {owner}.",
            remedy=f"End that process, or choose another port with {setting}.",
        )
        self.port = port
        self.owner = owner
