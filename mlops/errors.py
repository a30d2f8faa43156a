"""The library's exceptions.

MlopsError                       exit 1
├── UsageError                   exit 2: invalid arguments or settings
│   ├── ConfigError              a key of params.yaml or an environment variable
│   └── NameTakenError           another project on the server has the same name
├── DataError                    invalid rows or columns
│   ├── MissingColumnError
│   ├── UnusableValueError       invalid values of one column
│   ├── EmptyWindowError
│   ├── TooFewRowsError
│   │   └── NotFreshError        too few rows are new to the champion for the gate to decide
│   ├── RowError                 an invalid row of a request
│   └── UnknownLabelsError
├── FormatError                  a stored file or row of a format that this version does not read
├── BundleError                  a bundle that does not match its manifest
├── StageError                   a stage of dvc.yaml failed, or its inputs changed meanwhile
├── ShortageError                the machine ran out of space, open files or processes
├── UnexpectedError              a bug: an unexpected exception in a flow's task
├── NothingPromotedError         no model to deploy, monitor or score with yet
├── ConflictError                another process has a lock or made a change; retriable
└── UnavailableError             a service or engine does not respond; retriable
    └── PortTakenError

Every error names what failed and how to fix it; `retriable` says whether a retry may succeed. A
rejection by a gate or a policy is no error: see `mlops.ledger.outcome`. HTTP status codes are mapped in
`mlops.serving` alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlops.addresses import masked

__all__ = [
    "BundleError",
    "ConfigError",
    "ConflictError",
    "DataError",
    "EmptyWindowError",
    "FormatError",
    "MissingColumnError",
    "MlopsError",
    "NameTakenError",
    "NotFreshError",
    "NothingPromotedError",
    "PortTakenError",
    "RowError",
    "ShortageError",
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
    """Join at most `most` names for a message: ``a, b, c and 7 more``."""
    head = ", ".join(str(name) for name in names[:most])
    rest = len(names) - most
    return f"{head} and {rest} more" if rest > 0 else head


class MlopsError(Exception):
    """Base class of the library's exceptions.

    Parameters
    ----------
    message
        What failed.
    remedy
        How to fix it, a sentence; empty where nothing can be done.
    """

    exit_code = 1
    retriable = False

    def __init__(self, message: str, *, remedy: str = "") -> None:
        # Whatever a client library put in: neither shows a password.
        self.message = masked(message)
        self.remedy = masked(remedy)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message} {self.remedy}".strip()


class UsageError(MlopsError):
    """Invalid arguments or settings."""

    exit_code = 2


class ConfigError(UsageError):
    """An invalid setting: its path, its value, and what is allowed."""

    def __init__(self, path: str, *, value: object, allowed: str, file: str = "params.yaml") -> None:
        super().__init__(
            f"{file}: {path}: got {value!r}, allowed: {allowed}.",
            remedy=f"Edit {path} in {file}.",
        )
        self.path = path
        self.value = masked(value) if isinstance(value, str) else value
        self.allowed = allowed


class NameTakenError(UsageError):
    """Another project on a shared server has the same name.

    Parameters
    ----------
    owner, project
        The root commits of the other project and of this one, which distinguish them.
    """

    def __init__(self, what: str, address: str, *, name: str, owner: str, project: str) -> None:
        super().__init__(
            f"{what} at {address} has another project called {name}: its root commit is {owner}, "
            f"this one's is {project}.",
            remedy="Choose another data.name in params.yaml, or run separate servers "
            "(MLOPS_PREFECT_PORT, MLOPS_MLFLOW_PORT).",
        )
        self.owner = owner


class DataError(MlopsError):
    """Invalid rows or columns."""


class MissingColumnError(DataError):
    """The table lacks a column that params.yaml names."""

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
    """Values of a column are invalid for its feature type.

    Parameters
    ----------
    wrong
        A mask over the column's rows: the invalid values.
    allowed
        What is allowed: ``a number``.
    """

    def __init__(self, message: str, *, wrong: Any, allowed: str, remedy: str) -> None:
        super().__init__(message, remedy=remedy)
        self.wrong = wrong
        self.allowed = allowed


class EmptyWindowError(DataError):
    """No row is in the requested time window."""


class TooFewRowsError(DataError):
    """Fewer rows than a computation needs."""


class NotFreshError(TooFewRowsError):
    """Too few rows are new to the champion: the gate could not decide about another model."""


class RowError(DataError):
    """A row of a request has no prediction, mostly for a missing field or one of the wrong type.

    Parameters
    ----------
    row
        Position in the request, from 0.
    field
        The feature's name; None where no single one is the cause.
    """

    def __init__(self, message: str, *, row: int, field: str | None, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.row = row
        self.field = field


class UnknownLabelsError(DataError):
    """No prediction has the id or key of some labels."""

    def __init__(self, unknown: Sequence[object], *, total: int, by: str) -> None:
        super().__init__(
            f"{len(unknown)} of {total} labels name a {by} that no prediction has: {shown(unknown)}.",
            remedy="Nothing was added. Correct them, or pass --skip-unknown to add the others.",
        )
        self.unknown = tuple(unknown)


class BundleError(MlopsError):
    """A bundle does not match its manifest, or contains a type that is not on the trusted list."""


class FormatError(MlopsError):
    """A stored file or row has a format version that this version of mlops does not read.

    Parameters
    ----------
    what
        What is stored, and where: ``The ledger's row 12``.
    version
        Its format version; None where it has none.
    supported
        The format versions that this version of mlops reads.
    detail
        What else is unknown about it.
    """

    def __init__(self, what: str, version: object, *supported: int, detail: str = "") -> None:
        super().__init__(
            f"{what} is of format {version}; this version of mlops reads format {shown(supported)}"
            f"{f' ({detail})' if detail else ''}.",
            remedy="Use the version of mlops that wrote it, or a newer one.",
        )
        self.what = what
        self.version = version
        self.supported = supported


class StageError(MlopsError):
    """A stage of dvc.yaml failed, or one of its inputs changed while it ran."""


class ShortageError(MlopsError):
    """The machine ran out of what a command needs: disk space, a quota, open files, processes."""


class UnexpectedError(MlopsError):
    """An unexpected exception in a flow's task: a bug in the code, not in its input."""

    def __init__(self, task: str, cause: Exception) -> None:
        super().__init__(
            f"The task {task!r} failed: {type(cause).__name__}: {cause}.",
            remedy="This is a bug: the traceback is in the logs of this run in Prefect.",
        )


class NothingPromotedError(MlopsError):
    """The project has no champion yet, or none that serves."""

    def __init__(self, what: str = "promoted", command: str = "mlops train") -> None:
        super().__init__(f"No model has been {what} yet.", remedy=f"Run `{command}` first.")


class ConflictError(MlopsError):
    """Another process has a lock, or changed the thing meanwhile."""

    retriable = True


class UnavailableError(MlopsError):
    """A service or engine does not respond.

    Parameters
    ----------
    what
        Its name: ``MLflow``, ``Prefect``, ``the container engine``.
    address
        The address of the request.
    """

    retriable = True

    def __init__(self, what: str, address: str, *, remedy: str, cause: object = "") -> None:
        reason = f" ({cause})" if str(cause) else ""
        super().__init__(f"{what} does not respond at {address}{reason}.", remedy=remedy)
        self.what = what
        self.address = masked(address)


class PortTakenError(UnavailableError):
    """Another process uses the port of one of the project's parts."""

    retriable = False

    def __init__(self, port: int, *, part: str, owner: str, setting: str) -> None:
        MlopsError.__init__(
            self,
            f"Port {port} for {part} is in use by {owner}.",
            remedy=f"Stop that process, or choose another port with {setting}.",
        )
        self.port = port
        self.owner = owner
