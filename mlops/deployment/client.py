"""HTTP client of a deployed model."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import httpx

from mlops.errors import DataError, UnavailableError
from mlops.schema import Schema

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Client", "records"]


class Client:
    """A client of the gateway; its connection is reused between requests.

    Parameters
    ----------
    address
        The gateway's, as ``http://127.0.0.1:8080``.
    timeout
        Timeout of a request in seconds.
    token
        For a gateway on another machine, see `deploy.expose`.
    certificate
        The file of certificates that the gateway's is checked against; default: the system's.

    Examples
    --------
    >>> with mlops.Client(project.folder.address) as client:
    ...     answer = client.predict([{"size": 4.0, "colour": "red"}])  # doctest: +SKIP
    """

    def __init__(
        self,
        address: str,
        *,
        timeout: float = 30.0,
        token: str | None = None,
        certificate: str | Path | None = None,
    ) -> None:
        self._address = address
        headers = {"authorization": f"Bearer {token}"} if token else {}
        verify = ssl.create_default_context(cafile=certificate) if certificate else True
        self._http = httpx.Client(
            base_url=address, timeout=timeout, trust_env=False, headers=headers, verify=verify
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def predict(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Return the service's response to rows: ``model_version`` and ``predictions``.

        Raises
        ------
        DataError
            The service rejected the request. The message has its error.
        UnavailableError
            The service does not respond or fails, or another service answers.
        """
        return self._post([_to_json(row) for row in rows])

    def predict_frame(
        self, frame: pd.DataFrame, schema: Schema, *, batch: int, most_bytes: int = 1024 * 1024
    ) -> Iterator[list[dict[str, Any]]]:
        """Predict a table; yield each request's predictions in order.

        Parameters
        ----------
        batch
            Most rows a request.
        most_bytes
            Most bytes a request: `deploy.max_body`. A row that has more by itself is sent by itself.
        """
        for start in range(0, len(frame), batch):
            rows = map(_to_json, records(frame.iloc[start : start + batch], schema))
            for part in _parts(rows, most_bytes - len(_BODY % b"")):
                yield self._post(part)["predictions"]

    def _post(self, rows: Sequence[bytes]) -> dict[str, Any]:
        body = _BODY % b",".join(rows)
        try:
            response = self._http.post("/predict", content=body, headers={"content-type": "application/json"})
        except httpx.HTTPError as exc:
            raise self._unavailable(type(exc).__name__) from exc
        rejected = response.is_client_error and response.status_code != 404
        if not (rejected or response.is_success):
            raise self._unavailable(f"HTTP {response.status_code}")
        content = _object_with(response, "error" if rejected else "predictions")
        if content is None:
            raise self._unavailable(f"HTTP {response.status_code}, but not from a model service")
        if rejected:
            raise DataError(f"The service rejected the rows: {content['error']}")
        return content

    def _unavailable(self, cause: object) -> UnavailableError:
        return UnavailableError(
            "The gateway",
            self._address,
            remedy="Start it with `mlops up`, and deploy a model with `mlops deploy`.",
            cause=cause,
        )


_BODY = b'{"rows":[%s]}'


def _to_json(row: dict[str, Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _parts(rows: Iterable[bytes], most: int) -> Iterator[list[bytes]]:
    """Yield rows in parts of at most so many bytes with their commas, or of one row."""
    part: list[bytes] = []
    size = 0
    for row in rows:
        if part and size + len(row) + 1 > most:
            yield part
            part, size = [], 0
        part.append(row)
        size += len(row) + 1
    if part:
        yield part


def _object_with(response: httpx.Response, field: str) -> dict[str, Any] | None:
    """Return the response's JSON object, None where it is none with this field."""
    try:
        content = response.json()
    except ValueError:
        return None
    return content if isinstance(content, dict) and field in content else None


def records(frame: pd.DataFrame, schema: Schema) -> list[dict[str, Any]]:
    """Return a table's features, time and key as JSON records; missing values are null.

    Values are parsed as at ingestion: a date may be written as 2013/07/04, a category may be a number.

    Raises
    ------
    MissingColumnError
        The table lacks a feature.
    DataError
        A value is invalid. The error names its column and row.
    """
    from mlops.tables.conform import unlabelled

    rows = unlabelled(frame, schema)
    roles = {schema.time: rows.times, schema.key: rows.keys}
    present = {name: values for name, values in roles.items() if name is not None and name in frame}
    return [
        {**features, **{name: values[row] for name, values in present.items()}}
        for row, features in enumerate(rows.served)
    ]
