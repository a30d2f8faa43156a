"""A deployment: one version of a model, served by a target, reached through one gateway.

`swap` is a whole redeployment (blue-green): start the new service beside the old one, wait until it
reproduces the golden rows' predictions, switch the gateway, and only then stop older services. The
old service keeps serving until the gateway has switched, whatever fails before.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mlops.errors import UnavailableError

__all__ = ["Gateway", "Serving", "Spec", "Target", "TargetContext", "swap", "wait_ready"]

_POLL = 0.05
_IN_FLIGHT = 1.0
"""Seconds for which requests may still reach the old service after the gateway has switched."""


@dataclass(frozen=True)
class Spec:
    """What to serve, and the limits of the service."""

    id: str
    """The deployment's id; two starts with one id are the same service."""
    version: str
    bundle: Path
    digest: str
    log: Path
    """Folder of the prediction log."""
    memory: str = "1g"
    cpus: float = 1.0
    max_rows: int = 10_000
    max_body: int = 1024 * 1024
    """Bytes."""
    fsync: bool = False
    token_digest: str = ""
    """The sha256 of the token that requests of other machines need; empty where none are let in."""

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables for `mlops.serving`, without the paths, which the target sets."""
        return {
            "MLOPS_DEPLOYMENT": self.id,
            "MLOPS_VERSION": self.version,
            "MLOPS_DIGEST": self.digest,
            "MLOPS_MAX_ROWS": str(self.max_rows),
            "MLOPS_MAX_BODY": str(self.max_body),
            "MLOPS_FSYNC": "1" if self.fsync else "0",
            "MLOPS_TOKEN_SHA256": self.token_digest,
        }


@dataclass(frozen=True)
class Serving:
    """A started service."""

    id: str
    """The deployment's id."""
    version: str
    digest: str
    target: str
    """The `name` of the target that started it."""
    address: str
    """Its address behind the gateway: ``http://127.0.0.1:49153``. Stays the same over restarts."""
    ref: str
    """The target's id of it: a container id or a process id."""
    image: str | None = None
    """The id of its image, where it has one."""


@dataclass(frozen=True)
class TargetContext:
    """The project's settings for a target.

    Parameters
    ----------
    name
        `data.name` of params.yaml.
    root
        The project's folder.
    home
        The project's folder of local state: ``.mlops``.
    base_image
        `MLOPS_BASE_IMAGE`.
    """

    name: str
    root: Path
    home: Path
    base_image: str


@runtime_checkable
class Target(Protocol):
    """Where services run."""

    name: str
    """The value of `Serving.target`, unique among targets."""
    build_inputs: Mapping[str, Any]
    """What a service is built from besides its bundle; if it changes, so does the deployment's id."""

    def start(self, spec: Spec) -> Serving:
        """Start a service, or return the running one with this id."""

    def running(self, *, unhealthy: bool = False) -> list[Serving]:
        """Return this project's running services, oldest first.

        With `unhealthy` also those that were started and not stopped, and do not answer: they keep
        restarting, or are paused.
        """

    def stop(self, serving: Serving, *, drain: float) -> None:
        """Stop a service, with up to `drain` seconds for its open requests; no error where it is gone."""

    def logs(self, serving: Serving) -> str:
        """Return the last lines of a service's log; empty where there is none."""

    def prune(self, *, keep: int, dry: bool = False) -> list[str]:
        """Remove what stopped services left, except for the newest `keep`; return what was removed, in words.

        With `dry`, return what would be removed.
        """


class Gateway(Protocol):
    """The address of the clients, in front of the services."""

    def switch(self, serving: Serving) -> None:
        """Route requests to this service; return once the gateway does. On an error the route stays.

        Raises
        ------
        UnavailableError
            The gateway does not respond, or does not switch in time.
        """

    def current(self) -> str | None:
        """Return the address that requests are routed to, None before the first switch."""


def swap(
    target: Target,
    gateway: Gateway,
    spec: Spec,
    *,
    keep_previous: bool = True,
    timeout: float = 60.0,
    drain: float = 10.0,
) -> Serving:
    """Replace the current service by `spec` without failing a request.

    Idempotent: after a kill at any point, another call converges. A started service is found by its
    id, and one that serves already is not restarted.

    Parameters
    ----------
    keep_previous
        Keep the previous service running, for a rollback; older ones are stopped.
    timeout
        Seconds for the new service to become ready.
    drain
        Seconds for a stopped service to finish its open requests.

    Raises
    ------
    UnavailableError
        The new service did not become ready, or the gateway did not switch. The new service has been
        removed, and the old one keeps serving.
    """
    previous = gateway.current()
    new = target.start(spec)
    try:
        wait_ready(target, new, timeout=timeout)
        if new.address != previous:
            gateway.switch(new)
    except BaseException:
        if new.address != previous:
            target.stop(new, drain=0)
        raise
    others = [other for other in target.running(unhealthy=True) if other.ref != new.ref]
    if keep_previous and others:
        # By address; or, where an earlier swap was killed after its switch, the newest of the others.
        standby = next((other for other in others if other.address == previous), others[-1])
        others.remove(standby)
    elif others:
        time.sleep(_IN_FLIGHT)
    for other in others:
        target.stop(other, drain=drain)
    return new


def wait_ready(target: Target, serving: Serving, *, timeout: float = 60.0) -> None:
    """Wait until a service is ready: it reproduces the golden rows' predictions.

    Raises
    ------
    UnavailableError
        The service exited, or the timeout passed. The message has its last response and log lines.
    """
    deadline = time.monotonic() + timeout
    while (reason := _not_ready(serving)) is not None:
        exited = serving.ref not in {running.ref for running in target.running()}
        if exited or time.monotonic() > deadline:
            reason = "it exited" if exited else reason
            raise UnavailableError(
                f"Deployment {serving.id} of version {serving.version}",
                serving.address,
                cause=f"{reason}; end of its log: {target.logs(serving)[-1500:].strip()}",
                remedy="The previous deployment keeps serving. Fix the model or the limits and deploy again.",
            )
        time.sleep(_POLL)


def _not_ready(serving: Serving) -> str | None:
    """Return why a service is not ready, None where it is.

    Another service may have taken the port first, and answer in its place.
    """
    # The environment's proxy is for other machines.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{serving.address}/ready", timeout=5):
            pass
        with direct.open(f"{serving.address}/version", timeout=5) as response:
            id = json.load(response)["deployment"]
        return None if id == serving.id else f"deployment {id} answers there"
    except urllib.error.HTTPError as error:
        with error:
            body = error.read(1000).decode(errors="replace")
        try:
            return str(json.loads(body)["error"])
        except (ValueError, KeyError, TypeError):
            return f"{error.code} {body}"
    except OSError as error:
        return str(error)
    except (HTTPException, ValueError, KeyError, TypeError):
        return "something else answers there"
