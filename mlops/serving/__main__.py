"""``python3 -m mlops.serving``: serve the bundle that the environment names."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

import uvicorn

from mlops.errors import ConfigError, MlopsError
from mlops.model import bundle, predictor
from mlops.prediction_log.writer import PredictionLog
from mlops.serving import http_server
from mlops.serving.app import PATHS, build_app
from mlops.serving.limits import Limits
from mlops.serving.prometheus import Metrics
from mlops.serving.service import Service

__all__ = ["main"]

# The project's settings, which read the same variable, take them too.
_BOOLEANS = dict.fromkeys(("1", "true", "yes", "on"), True) | dict.fromkeys(
    ("0", "false", "no", "off"), False
)


def main(environment: Mapping[str, str]) -> None:
    """Serve until SIGTERM; requests under way are answered first.

    Parameters
    ----------
    environment
        ``MLOPS_BUNDLE`` and ``MLOPS_LOG`` (folders), ``MLOPS_DIGEST`` (what the bundle must
        be), ``MLOPS_DEPLOYMENT``, ``MLOPS_VERSION``; and, where the defaults don't do,
        ``MLOPS_HOST``, ``MLOPS_PORT``, ``MLOPS_MAX_ROWS``, ``MLOPS_MAX_BODY`` (bytes),
        ``MLOPS_FSYNC`` and, for requests of other machines, ``MLOPS_TOKEN_SHA256``.
    """
    # The first process of a container ignores SIGTERM unless it says otherwise; and uvicorn,
    # once it has drained, raises again what ended it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    os.umask(0o077)  # what it writes are the requests of people
    default = Limits()
    fsync = _boolean(environment, "MLOPS_FSYNC")
    limits = Limits(
        rows=_number(environment, "MLOPS_MAX_ROWS", default.rows),
        body=_number(environment, "MLOPS_MAX_BODY", default.body),
        waits=fsync,
    )
    port = _port(environment, "MLOPS_PORT", 8000)
    service = _service(environment, fsync)
    app = build_app(service, limits, token_digest=environment.get("MLOPS_TOKEN_SHA256", ""))
    # What was imported stays: a collection need not walk it while a request waits.
    gc.collect()
    gc.freeze()
    # A thread that computes gives way to one with a request at hand after a fifth of the usual time.
    sys.setswitchinterval(0.001)
    host = environment.get("MLOPS_HOST", "127.0.0.1")
    config = http_server.configuration(app, limits, service.metrics, host=host, port=port, loop="uvloop")
    uvicorn.Server(config).run()


def _service(environment: Mapping[str, str], fsync: bool) -> Service:
    deployment = environment.get("MLOPS_DEPLOYMENT", "local")
    # A manifest can be forged together with what it lists; the digest comes from the ledger.
    model = bundle.open(Path(_required(environment, "MLOPS_BUNDLE")), digest=environment.get("MLOPS_DIGEST"))
    return Service(
        model,
        predictor.load(model),
        PredictionLog(Path(_required(environment, "MLOPS_LOG")), deployment, fsync=fsync),
        Metrics(PATHS),
        deployment=deployment,
        version=environment.get("MLOPS_VERSION", model.digest[:12]),
    )


def _required(environment: Mapping[str, str], name: str) -> str:
    try:
        return environment[name]
    except KeyError:
        raise ConfigError(name, value="nothing", allowed="a folder", file="environment") from None


def _number(environment: Mapping[str, str], name: str, default: int) -> int:
    value = environment.get(name, str(default))
    if not value.isdecimal():
        raise ConfigError(name, value=value, allowed="a whole number", file="environment")
    return int(value)


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    port = _number(environment, name, default)
    if not 1 <= port <= 65535:
        raise ConfigError(name, value=port, allowed="a port, 1 to 65535", file="environment")
    return port


def _boolean(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name, "0")
    if value.lower() not in _BOOLEANS:
        raise ConfigError(name, value=value, allowed=", ".join(_BOOLEANS), file="environment")
    return _BOOLEANS[value.lower()]


if __name__ == "__main__":
    try:
        main(os.environ)
    except MlopsError as exc:
        sys.exit(f"error: {exc}")
