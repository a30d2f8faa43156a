"""Asking a deployed model over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx

from mlops.errors import DataError, UnavailableError
from mlops.schema import Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Client", "records"]


class Client:
    """A connection to the gateway, kept between requests.

    Parameters
    ----------
    address
        The gateway's, as ``http://127.0.0.1:8080``.
    timeout
        Seconds one request may take.
    """

    def __init__(self, address: str, *, timeout: float = 30.0) -> None:
        self._address = address
        self._http = httpx.Client(base_url=address, timeout=timeout, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def predict(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the service's answer to some rows: ``model_version`` and ``predictions``.

        Raises
        ------
        DataError
            The service refused the request; its words are kept.
        UnavailableError
            Nobody answers, the service cannot, or it is another one.
        """
        try:
            answer = self._http.post("/predict", json={"rows": list(rows)})
        except httpx.HTTPError as exc:
            raise self._away(type(exc).__name__) from exc
        refused = answer.is_client_error and answer.status_code != 404
        if not (refused or answer.is_success):
            raise self._away(answer.status_code)
        told = _told(answer, "error" if refused else "predictions")
        if told is None:
            raise self._away(f"{answer.status_code}, and not as a model's service answers")
        if refused:
            raise DataError(f"The service refused the rows: {told['error']}")
        return told

    def predict_frame(
        self, frame: pd.DataFrame, schema: Schema, *, batch: int
    ) -> Iterator[list[dict[str, Any]]]:
        """Ask about a table, `batch` rows a request; give each request's answers in order."""
        for start in range(0, len(frame), batch):
            rows = records(frame.iloc[start : start + batch], schema)
            yield self.predict(rows)["predictions"]

    def _away(self, cause: object) -> UnavailableError:
        return UnavailableError(
            "The gateway",
            self._address,
            remedy="Start the loop with `mlops up` and a model with `mlops deploy`.",
            cause=cause,
        )


def _told(answer: httpx.Response, field: str) -> dict[str, Any] | None:
    """Return the object of JSON that an answer holds, None where it is none with this field."""
    try:
        told = answer.json()
    except ValueError:
        return None
    return told if isinstance(told, dict) and field in told else None


def records(frame: pd.DataFrame, schema: Schema) -> list[dict[str, Any]]:
    """Return a table's features, time and key as records ready for JSON; missing is null.

    Values are read as ingestion reads them: a date may be written as 2013/07/04, a code be a number.

    Raises
    ------
    MissingColumnError
        The table lacks a feature.
    DataError
        A value cannot be used; its column and row are named.
    """
    from mlops.tables.conform import unlabelled

    rows = unlabelled(frame, schema)
    roles = {schema.time: rows.times, schema.key: rows.keys}
    named = {name: values for name, values in roles.items() if name is not None and name in frame}
    return [
        {**features, **{name: values[row] for name, values in named.items()}}
        for row, features in enumerate(rows.served)
    ]
