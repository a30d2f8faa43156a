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
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mlops.errors import DataError, MlopsError
from mlops.serving import requests
from mlops.serving.prometheus import Metrics
from mlops.serving.service import Predicted, Service

__all__ = ["PATHS", "Limits", "build_app"]

PATHS = ("/predict", "/invocations", "/health", "/ready", "/version", "/metrics", "/openapi.json")

_INLINE_BYTES = 16 * 1024
_JSON = b"application/json"
Render = Callable[[Service, Predicted], dict[str, Any]]


@dataclass(frozen=True)
class Limits:
    """Limits of one request.

    Parameters
    ----------
    rows
        Most rows.
    body
        Most bytes of its body.
    seconds
        How long its body may take to arrive.
    waits
        Whether a response waits for the disk, so that it must not be made on the event loop.
    """

    rows: int = 10_000
    body: int = 16 * 1024 * 1024
    seconds: float = 30.0
    waits: bool = False


def build_app(service: Service, limits: Limits | None = None) -> ASGIApp:
    """Return the service as an ASGI application, which closes it when it shuts down."""
    limits = limits or Limits()
    # Two: a big request computes while another is read; more would only hold more memory.
    pool = ThreadPoolExecutor(2, thread_name_prefix="predict")

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        pool.shutdown()
        service.close()

    endpoints = {
        "/predict": _Predictions(service, limits, pool, requests.plain, _predict),
        "/invocations": _Predictions(service, limits, pool, requests.invocation, _invocations),
    }

    async def health(_: Request) -> Response:
        return _json({"status": "alive"})

    async def ready(_: Request) -> Response:
        service.check()
        return _json({"status": "ready", "version": service.version})

    async def version(_: Request) -> Response:
        return _json(service.describe())

    async def described(_: Request) -> Response:
        return _json(service.document())

    async def metrics(_: Request) -> Response:
        return Response(service.metrics.render(), media_type=CONTENT_TYPE_LATEST)

    framework = Starlette(
        routes=[
            # A POST never comes here; any other method is refused.
            *(Route(path, endpoint, methods=["POST"]) for path, endpoint in endpoints.items()),
            Route("/health", health),
            Route("/ready", ready),
            Route("/version", version),
            Route("/metrics", metrics),
            Route("/openapi.json", described),
        ],
        exception_handlers={HTTPException: _refused, MlopsError: _refused, Exception: _refused},
        lifespan=lifespan,
    )
    return _Measured(framework, endpoints, service.metrics)


class _Predictions:
    """An endpoint that predicts rows.

    Written against ASGI itself: for one small row, the framework would cost as much as the model.
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
        body = await self._body(scope, receive)
        if len(body) <= _INLINE_BYTES and not self._limits.waits:
            content = self._respond_to(body)
        else:
            content = await asyncio.get_running_loop().run_in_executor(self._pool, self._respond_to, body)
        headers = [(b"content-type", _JSON), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def _respond_to(self, body: bytes) -> bytes:
        records = requests.read(body, self._unpack, self._service.schema)
        if len(records) > self._limits.rows:
            raise HTTPException(
                413, f"The request has {len(records)} rows; the limit is {self._limits.rows}."
            )
        predicted = self._service.predict(requests.rows(records, self._service.schema))
        return orjson.dumps(self._render(self._service, predicted))

    async def _body(self, scope: Scope, receive: Receive) -> bytes:
        headers = dict(scope["headers"])
        kind = headers.get(b"content-type", _JSON)
        if kind != _JSON and kind.split(b";")[0].strip().lower() != _JSON:
            raise HTTPException(415, "Send the rows as application/json.")
        length = headers.get(b"content-length", b"0")
        self._check_size(int(length) if length.isdigit() else 0)
        try:
            async with asyncio.timeout(self._limits.seconds):
                return await self._chunks(receive)
        except TimeoutError:
            raise HTTPException(
                408,
                f"The body took longer than {self._limits.seconds:g} s to arrive.",
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
            self._check_size(size)
        return b"".join(chunks)

    def _check_size(self, size: int) -> None:
        if size > self._limits.body:
            raise HTTPException(413, f"The body exceeds the limit of {self._limits.body} bytes.")


class _Measured:
    """Every request, counted by path and status and timed; one for predictions skips the framework."""

    def __init__(self, framework: ASGIApp, endpoints: Mapping[str, ASGIApp], metrics: Metrics) -> None:
        self._framework = framework
        self._endpoints = endpoints
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._framework(scope, receive, send)
            return
        start, status = perf_counter(), 500
        try:
            if scope["method"] == "POST" and (endpoint := self._endpoints.get(scope["path"])):
                status = await _respond(endpoint, scope, receive, send)
            else:
                status = await _status(self._framework, scope, receive, send)
        finally:
            self._metrics.request(scope["path"], status, perf_counter() - start)


async def _respond(endpoint: ASGIApp, scope: Scope, receive: Receive, send: Send) -> int:
    """Let an endpoint respond, or respond with its error; return the status."""
    try:
        await endpoint(scope, receive, send)
    except ClientDisconnect:
        return 499  # the client is gone; nginx uses this status too
    except Exception as exc:
        refusal = _refusal(exc)
        await refusal(scope, receive, send)
        if refusal.status_code == 500:
            raise  # the server logs it
        return refusal.status_code
    return 200


async def _status(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> int:
    """Let an application respond; return the status."""
    status = 500

    async def send_and_note(message: Message) -> None:
        nonlocal status
        status = message.get("status", status)
        await send(message)

    await app(scope, receive, send_and_note)
    return status


def _predict(service: Service, predicted: Predicted) -> dict[str, Any]:
    rows = zip(predicted.ids, predicted.predictions, predicted.scores, strict=True)
    return {
        "model_version": service.version,
        "deployment": service.deployment,
        "predictions": [{"id": id, "prediction": label, "score": score} for id, label, score in rows],
    }


def _invocations(service: Service, predicted: Predicted) -> dict[str, Any]:
    return {"predictions": predicted.predictions, "model_version": service.version, "ids": predicted.ids}


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


async def _refused(_: Request, exc: Exception) -> Response:
    return _refusal(exc)


def _refusal(exc: Exception) -> Response:
    """Return the response for an error."""
    if isinstance(exc, HTTPException):
        return _error(exc.status_code, exc.detail, headers=exc.headers)
    if isinstance(exc, DataError):
        return _error(400, str(exc), field=getattr(exc, "field", None), row=getattr(exc, "row", None))
    if isinstance(exc, MlopsError):
        return _error(503, str(exc))
    # The traceback goes to the server's log, never to the client. The server closes the
    # connection after it: with this header, a client sends its next request on another.
    close = {"connection": "close"}
    return _error(500, "Internal server error. See the service's log.", headers=close)
