"""The service over HTTP: limits, status codes and JSON, nothing that decides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, asynccontextmanager
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
from mlops.serving.authorization import PREFIX, Authorized
from mlops.serving.body_budget import BodyBudget, NoRoomError
from mlops.serving.limits import Limits
from mlops.serving.prometheus import Metrics
from mlops.serving.service import Predicted, Service

__all__ = ["PATHS", "build_app"]

PATHS = (
    "/predict",
    "/invocations",
    f"{PREFIX}/predict",
    f"{PREFIX}/invocations",
    "/health",
    "/ready",
    "/version",
    "/metrics",
    "/openapi.json",
)

_INLINE_BYTES = 4 * 1024
_JSON = b"application/json"
_CLOSE = {"connection": "close"}
"""Or the rest of the body would be waited for."""
Render = Callable[[Service, Predicted], dict[str, Any]]


def build_app(service: Service, limits: Limits | None = None, *, token_digest: str = "") -> ASGIApp:
    """Return the service as an ASGI application, which closes it when it shuts down.

    Parameters
    ----------
    token_digest
        The sha256 of the token that requests of other machines need.
    """
    limits = limits or Limits()
    work = _Work(limits)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        work.close()
        service.close()

    local: dict[str, ASGIApp] = {
        "/predict": _Predictions(service, work, requests.plain, _predict),
        "/invocations": _Predictions(service, work, requests.invocation, _invocations),
    }
    exposed = {f"{PREFIX}{path}": Authorized(endpoint, token_digest) for path, endpoint in local.items()}
    endpoints = local | exposed

    async def health(_: Request) -> Response:
        return _json({"status": "alive"})

    async def ready(_: Request) -> Response:
        service.check()
        return _json({"status": "ready", "version": service.version})

    async def version(_: Request) -> Response:
        return _json(service.describe())

    async def described(_: Request) -> Response:
        return _json(service.document(most_rows=limits.rows))

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


class _Work:
    """What the endpoints that predict share: the limits, the room for bodies, and threads."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.budget = BodyBudget(
            limits.in_flight,
            waiting=limits.waiting,
            patience=limits.patience,
            contended=limits.contended,
        )
        # One: a second big request would hold more memory, and take no less time.
        self.big = ThreadPoolExecutor(1, thread_name_prefix="predict-big")
        # Two: one computes while another waits for the disk.
        self.waiting = ThreadPoolExecutor(2, thread_name_prefix="predict")

    def close(self) -> None:
        """Finish what is under way."""
        self.big.shutdown()
        self.waiting.shutdown()


class _Predictions:
    """An endpoint that predicts rows.

    Written against ASGI itself: for one small row, the framework would cost as much as the model.
    """

    def __init__(self, service: Service, work: _Work, unpack: requests.Unpack, render: Render) -> None:
        self._service = service
        self._work = work
        self._limits = work.limits
        self._unpack = unpack
        self._render = render

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        announced = self._announced(dict(scope["headers"]))
        body, seconds = bytearray(), self._limits.seconds
        whole = announced <= _INLINE_BYTES and await self._read(
            receive, body, _INLINE_BYTES, asyncio.timeout(seconds)
        )
        if whole and len(body) <= _INLINE_BYTES:
            content = await self._small(body)
        else:
            budget = self._work.budget
            known = whole or announced  # in chunks, it may have as many bytes as any
            async with budget.reserved(max(announced, len(body)) if known else self._limits.body):
                if not whole:
                    await self._read(receive, body, self._limits.body, budget.arriving(seconds))
                content = await self._in(self._work.big, body)
        headers = [(b"content-type", _JSON), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def _small(self, body: bytearray) -> bytes:
        return await self._in(self._work.waiting, body) if self._limits.waits else self._respond_to(body)

    async def _in(self, pool: ThreadPoolExecutor, body: bytearray) -> bytes:
        return await asyncio.get_running_loop().run_in_executor(pool, self._respond_to, body)

    def _respond_to(self, body: bytearray) -> bytes:
        schema = self._service.schema
        if len(body) > _INLINE_BYTES:
            requests.check_shape(body, most_rows=self._limits.rows, fields=len(schema.types))
        records = requests.read(body, self._unpack, schema)
        if len(records) > self._limits.rows:
            raise HTTPException(
                413, f"The request has {len(records)} rows; the limit is {self._limits.rows}."
            )
        predicted = self._service.predict(requests.rows(records, schema, self._service.longest))
        return orjson.dumps(self._render(self._service, predicted))

    def _announced(self, headers: Mapping[bytes, bytes]) -> int:
        """Return how many bytes a request says its body has; one that comes in chunks says nothing: 0."""
        kind = headers.get(b"content-type", _JSON)
        if kind != _JSON and kind.split(b";")[0].strip().lower() != _JSON:
            raise HTTPException(415, "Send the rows as application/json.", headers=_CLOSE)
        if headers.get(b"content-encoding", b"identity").strip().lower() not in (b"identity", b""):
            accepted = {**_CLOSE, "accept-encoding": "identity"}
            raise HTTPException(415, "Send the body as it is, not compressed.", headers=accepted)
        length = headers.get(b"content-length", b"0")
        size = int(length) if length.isdigit() else 0
        self._check_size(size)
        return size

    async def _read(
        self, receive: Receive, body: bytearray, most: int, in_time: AbstractAsyncContextManager[Any]
    ) -> bool:
        """Read on until the body is whole, or longer than `most`; return whether it is whole."""
        try:
            async with in_time:
                more = True
                while more and len(body) <= most:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ClientDisconnect
                    body += message.get("body", b"")
                    more = message.get("more_body", False)
                    self._check_size(len(body))
                return not more
        except TimeoutError:
            raise HTTPException(408, "The body took too long to arrive.", headers=_CLOSE) from None

    def _check_size(self, size: int) -> None:
        if size > self._limits.body:
            message = f"The body exceeds the limit of {self._limits.body} bytes."
            raise HTTPException(413, message, headers=_CLOSE)


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
    if isinstance(exc, NoRoomError):
        message = "Other requests' bodies leave no room for this one. Try again."
        return _error(503, message, headers={**_CLOSE, "retry-after": "1"})
    if isinstance(exc, requests.TooLargeError):
        return _error(413, str(exc))
    if isinstance(exc, DataError):
        return _error(400, str(exc), field=getattr(exc, "field", None), row=getattr(exc, "row", None))
    if isinstance(exc, MlopsError):
        return _error(503, str(exc))
    # The traceback goes to the server's log, never to the client. The server closes the
    # connection after it: with this header, a client sends its next request on another.
    return _error(500, "Internal server error. See the service's log.", headers=_CLOSE)
