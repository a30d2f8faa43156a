"""The web server of one service: uvicorn, within the limits."""

from __future__ import annotations

from typing import Any, cast

import uvicorn
from starlette.types import ASGIApp

from mlops.serving.limits import Limits
from mlops.serving.prometheus import Metrics
from mlops.serving.protocol import Connections

__all__ = ["configuration"]


def configuration(app: ASGIApp, limits: Limits, metrics: Metrics, **address: Any) -> uvicorn.Config:
    """Return uvicorn's configuration for the service at an address."""
    connections = Connections(limits, lambda status: metrics.request("", status, 0.0))
    return uvicorn.Config(
        app,
        http=cast("Any", connections.protocol),
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        # Longer than a gateway keeps an idle connection (90 s in traefik): were it shorter, the
        # gateway would now and then send a request into a connection that is being closed.
        timeout_keep_alive=120,
        timeout_graceful_shutdown=30,
        **address,
    )
