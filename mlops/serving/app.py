"""The service over HTTP: limits, status codes and JSON, nothing that decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import orjson
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlops.errors import DataError, MlopsError
from mlops.serving import requests
from mlops.serving.metrics import Metrics
from mlops.serving.service import Answered, Service

__all__ = ["PATHS", "Limits", "build_app"]

PATHS = ("/predict", "/invocations", "/health", "/ready", "/version", "/metrics")

_INLINE_BYTES = 16 * 1024
_JSON = b"application/json"
Render = Callable[[Service, Answered], dict[str, Any]]


@dataclass(frozen=True)
class Limits:
    """What one request may ask for.

    Parameters
    ----------
    rows
        Rows it may hold.
    body
        Bytes its body may have.
    seconds
        How long its body may take to arrive.
    waits
        Whether an answer waits for the disk, so that it must not be given on the event loop.
    """

    rows: int = 10_000
    body: int = 16 * 1024 * 1024
    seconds: float = 30.0
    waits: bool = False


def build_app(service: Service, limits: Limits | None = None) -> Starlette:
    """Return the service as an ASGI application, which closes it when it shuts down."""
    limits = limits or Limits()
    # Two: a big request computes while another is read; more would only hold more memory.
    pool = ThreadPoolExecutor(2, thread_name_prefix="predict")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        pool.shutdown()
        service.close()

    def predictions(unpack: requests.Unpack, render: Render) -> ASGIApp:
        return _Predictions(service, limits, pool, unpack, render)

    async def health(_: Request) -> Response:
        return _json({"status": "alive"})

    async def ready(_: Request) -> Response:
        service.check()
        return _json({"status": "ready", "version": service.version})

    async def version(_: Request) -> Response:
        return _json(service.describe())

    async def metrics(_: Request) -> Response:
        return Response(service.metrics.render(), media_type=CONTENT_TYPE_LATEST)

    return Starlette(
        routes=[
            Route("/predict", predictions(requests.plain, _predict), methods=["POST"]),
            Route("/invocations", predictions(requests.invocation, _invocations), methods=["POST"]),
            Route("/health", health),
            Route("/ready", ready),
            Route("/version", version),
            Route("/metrics", metrics),
        ],
        middleware=[Middleware(_Measured, metrics=service.metrics)],
        exception_handlers={
            HTTPException: _http_error,
            DataError: _data_error,
            MlopsError: _unavailable,
            Exception: _failed,
        },
        lifespan=lifespan,
    )


class _Predictions:
    """An endpoint that answers rows.

    Written against ASGI itself: for one small row, the framework's request and response
    objects would cost as much as the model.
    """

    def __init__(
        self,
        service: Service,
        limits: Limits,
        pool: ThreadPoolExecutor,
        unpack: requests.Unpack,
        render: Render,
    ) -> None:
        self._service = service
        self._limits = limits
        self._pool = pool
        self._unpack = unpack
        self._render = render

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self._body(scope, receive)
        except ClientDisconnect:
            return
        if len(body) <= _INLINE_BYTES and not self._limits.waits:
            content = self._answer(body)
        else:
            content = await asyncio.get_running_loop().run_in_executor(self._pool, self._answer, body)
        headers = [(b"content-type", _JSON), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _answer(self, body: bytes) -> bytes:
        records = requests.read(body, self._unpack, self._service.schema)
        if len(records) > self._limits.rows:
            raise HTTPException(
                413, f"The request holds {len(records)} rows, allowed are {self._limits.rows}."
            )
        answered = self._service.answer(requests.rows(records, self._service.schema))
        return orjson.dumps(self._render(self._service, answered))

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type", _JSON)
        if kind != _JSON and kind.split(b";")[0].strip().lower() != _JSON:
            raise HTTPException(415, "Send the rows as application/json.")
        length = headers.get(b"content-length", b"0")
        self._admit(int(length) if length.isdigit() else 0)
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await self._chunks(receive)
        except TimeoutError:
            raise HTTPException(
                408,
                f"The body took more than {self._limits.seconds:g} s to arrive.",
                headers={"connection": "close"},  # or the rest would be waited for
            ) from None

    async def _chunks(self, receive: Receive) -> bytes:
        chunks: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            chunks.append(message.get("body", b""))
            size, more = size + len(chunks[-1]), message.get("more_body", False)
            self._admit(size)
        return b"".join(chunks)

    def _admit(self, size: int) -> None:
        if size > self._limits.body:
            raise HTTPException(413, f"The body is larger than {self._limits.body} bytes.")


class _Measured:
    """Counts every request by path and status, and how long it took."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = perf_counter(), 500

        async def noted(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            self._metrics.request(scope["path"], status, perf_counter() - start)


def _predict(service: Service, answered: Answered) -> dict[str, Any]:
    rows = zip(answered.ids, answered.predictions, answered.scores, strict=True)
    return {
        "model_version": service.version,
        "deployment": service.deployment,
        "predictions": [{"id": id, "prediction": label, "score": score} for id, label, score in rows],
    }


def _invocations(service: Service, answered: Answered) -> dict[str, Any]:
    return {"predictions": answered.predictions, "model_version": service.version, "ids": answered.ids}


def _json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(value), status, headers, media_type="application/json")


def _error(
    status: int,
    message: str,
    *,
    field: str | None = None,
    row: int | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    return _json({"error": message, "field": field, "row": row}, status, headers)


async def _http_error(_: Request, exc: Exception) -> Response:
    assert isinstance(exc, HTTPException)
    return _error(exc.status_code, exc.detail, headers=exc.headers)


async def _data_error(_: Request, exc: Exception) -> Response:
    return _error(400, str(exc), field=getattr(exc, "field", None), row=getattr(exc, "row", None))


async def _unavailable(_: Request, exc: Exception) -> Response:
    return _error(503, str(exc))


async def _failed(_: Request, __: Exception) -> Response:
    # The traceback goes to the server's log, never to whoever asked. The server closes the
    # connection after it: told so, a client sends its next request on another.
    close = {"connection": "close"}
    return _error(500, "The service failed to answer. Its log tells why.", headers=close)
