"""What every record of the ledger has: a kind, a key where it is recorded only once, a sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar, TypeVar

from mlops.errors import shown
from mlops.ledger.codec import decode, encode, utc_text

__all__ = ["Record"]

R = TypeVar("R", bound="Record")


class Record:
    """Base of the records: frozen dataclasses, one class per kind of row.

    Attributes
    ----------
    kind
        What it records, a noun and a past participle: ``model.promoted``.
    key_template
        The idempotency key: of all rows with one key the ledger keeps the first. Names in braces are
        fields of the record, ``cause`` and ``as_of``. None where the same may be recorded again.
    """

    kind: ClassVar[str]
    key_template: ClassVar[str | None] = None

    @property
    def sentence(self) -> str:
        """What was decided or done, for a person; made from the fields alone."""
        raise NotImplementedError

    @classmethod
    def key_of(cls, **parts: Any) -> str:
        """Return the idempotency key of a record with these parts, each of which the template names."""
        assert cls.key_template is not None, f"{cls.__name__} has no idempotency key"
        return cls.key_template.format(**{name: _part(value) for name, value in parts.items()})

    def key(self, *, cause: str | None, as_of: datetime | None) -> str | None:
        """Return the record's idempotency key; None where the same may be recorded again.

        Raises
        ------
        ValueError
            The template names a cause or an `as_of`, and none is given.
        """
        if self.key_template is None:
            return None
        given = {"cause": cause, "as_of": as_of}
        names = re.findall(r"{(\w+)}", self.key_template)
        if missing := [name for name in names if name in given and given[name] is None]:
            raise ValueError(f"{self.kind} is recorded once per {shown(missing)}, which is not given")
        return self.key_of(**{name: given[name] if name in given else getattr(self, name) for name in names})

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as a JSON value; `from_dict` reads it back."""
        made: dict[str, Any] = encode(self)
        return made

    @classmethod
    def from_dict(cls: type[R], value: Mapping[str, Any]) -> R:
        """Read what `to_dict` wrote.

        Raises
        ------
        UnreadableValueError
            A field is unknown, missing or of another type.
        """
        return decode(cls, value)


def _part(value: Any) -> str:
    return utc_text(value) if isinstance(value, datetime) else str(value)
