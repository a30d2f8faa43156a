"""A deployment: one version of a model, served somewhere, reached through one gateway.

`swap` is the whole of a redeployment: start the new one beside the old, wait until it answers
as it did in training, send the requests over, and only then end what nobody needs. Until the
gateway has acknowledged the new one, the old one serves, whatever goes wrong.
"""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Protocol

from mlops.errors import UnavailableError

__all__ = ["Gateway", "Serving", "Spec", "Target", "swap", "wait_ready"]

_POLL = 0.05
_SETTLE = 1.0
"""Seconds a request may still be on its way to a service after the gateway has let go of it."""


@dataclass(frozen=True)
class Spec:
    """What shall be served, and within which limits."""

    id: str
    """The deployment's; two starts with one id are the same service."""
    version: str
    bundle: Path
    digest: str
    log: Path
    """The prediction log's folder."""
    memory: str = "1g"
    cpus: float = 1.0
    max_rows: int = 10_000
    max_body: int = 16 * 1024 * 1024
    """Bytes."""
    fsync: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """What `mlops.serving` reads, but for the places, which are the target's."""
        return {
            "MLOPS_DEPLOYMENT": self.id,
            "MLOPS_VERSION": self.version,
            "MLOPS_DIGEST": self.digest,
            "MLOPS_MAX_ROWS": str(self.max_rows),
            "MLOPS_MAX_BODY": str(self.max_body),
            "MLOPS_FSYNC": "1" if self.fsync else "0",
        }


@dataclass(frozen=True)
class Serving:
    """A service that was started."""

    id: str
    """The deployment's."""
    version: str
    digest: str
    target: str
    """``docker`` or ``process``."""
    address: str
    """Its own, behind the gateway: ``http://127.0.0.1:49153``. Stays the same over restarts."""
    ref: str
    """What the target knows it by: a container's or a process's id."""
    image: str | None = None
    """The id of the image it runs from, where it has one."""


class Target(Protocol):
    """Where services run."""

    name: str
    """As `Serving.target` tells it."""

    def start(self, spec: Spec) -> Serving:
        """Start a service; where one with this id runs already, return that one."""

    def running(self, *, ailing: bool = False) -> list[Serving]:
        """Return this project's services that run, oldest first.

        With `ailing` those too that were started and not stopped, and do not answer: what keeps
        ending and is started again, or was made to pause.
        """

    def stop(self, serving: Serving, *, drain: float) -> None:
        """End a service, giving its open requests up to `drain` seconds; gone is fine too."""

    def logs(self, serving: Serving) -> str:
        """Return the last lines a service wrote; empty where nothing is left of it."""

    def prune(self, *, keep: int, dry: bool = False) -> list[str]:
        """Remove what services that ended have left, but for the newest `keep`; say what went.

        With `dry`, say what would go.
        """


class Gateway(Protocol):
    """The one address clients know."""

    def switch(self, serving: Serving) -> None:
        """Send requests to this service; returns once the gateway does. Else the one before is kept.

        Raises
        ------
        UnavailableError
            The gateway doesn't answer, or doesn't take it.
        """

    def current(self) -> str | None:
        """Return the address that requests are sent to, None before the first switch."""


def swap(
    target: Target,
    gateway: Gateway,
    spec: Spec,
    *,
    keep_previous: bool = True,
    timeout: float = 60.0,
    drain: float = 10.0,
) -> Serving:
    """Put `spec` in the place of what serves now, without failing a request.

    Run again after a kill at any point it converges: a service that was started is found by
    its id, one that serves already is left as it is.

    Parameters
    ----------
    keep_previous
        The one that served until now stays warm, for a way back; older ones are ended.
    timeout
        Seconds the new one has to be ready.
    drain
        Seconds an ended one has for its open requests.

    Raises
    ------
    UnavailableError
        The new one didn't get ready, or the gateway didn't take it. It has been removed, and
        the old one serves as before.
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
    others = [other for other in target.running(ailing=True) if other.ref != new.ref]
    if keep_previous and others:
        # By name; or, where an earlier try was killed after its switch, the newest of the others.
        warm = next((other for other in others if other.address == previous), others[-1])
        others.remove(warm)
    elif others:
        time.sleep(_SETTLE)
    for other in others:
        target.stop(other, drain=drain)
    return new


def wait_ready(target: Target, serving: Serving, *, timeout: float = 60.0) -> None:
    """Return once a service is ready: its golden rows are answered as in training.

    Raises
    ------
    UnavailableError
        It ended, or `timeout` seconds went by. Says what the service said and logged last.
    """
    deadline = time.monotonic() + timeout
    while (said := _ask_ready(serving)) is not None:
        if serving.ref not in {running.ref for running in target.running()}:
            said = "it ended"
        if said == "it ended" or time.monotonic() > deadline:
            raise UnavailableError(
                f"Deployment {serving.id} of version {serving.version}",
                serving.address,
                cause=f"{said}; its last lines: {target.logs(serving)[-1500:].strip()}",
                remedy="What served before still does. Mend the model or the limits, and deploy again.",
            )
        time.sleep(_POLL)


def _ask_ready(serving: Serving) -> str | None:
    """Return None where the service is ready, else what it said.

    Another one may have taken the port first, and would be ready in its place.
    """
    # A proxy of the environment is for the world outside, not for this machine.
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{serving.address}/ready", timeout=5):
            pass
        with direct.open(f"{serving.address}/version", timeout=5) as answer:
            told = json.load(answer)
        return None if told["deployment"] == serving.id else f"deployment {told['deployment']} answers there"
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
