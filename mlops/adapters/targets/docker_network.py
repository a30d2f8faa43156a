"""How this machine reaches a container: over a network without a way out, where the engine has such here.

An engine publishes no port of a container on such a network. Its bridge is an interface of the machine that
the engine runs on, so there the gateway reaches the container by its own address. Where the engine runs on
another machine, or a virtual one, as Docker Desktop's or a rootless one does, a port is published instead,
and the container has a way out.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from typing import Any

import docker
import psutil
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.types import IPAMConfig, IPAMPool

from mlops.files.ports import free_port

__all__ = ["address", "free_address", "internal", "is_taken", "reach", "remove_unused"]

_PORT = 8000
"""Of the service in its container."""
_TRIES = 5


def reach(
    engine: docker.DockerClient, name: str, labels: Mapping[str, str], others: Iterable[Container]
) -> dict[str, Any]:
    """Return the options of a new container by which this machine will reach it.

    Parameters
    ----------
    name, labels
        Of the network.
    others
        The containers that may have an address on it.
    """
    network = internal(engine, name, labels)
    if network is None:
        # A port of our choosing, not 0: the engine would draw another one at each restart, and
        # the gateway would go on sending requests to the first.
        return {"ports": {f"{_PORT}/tcp": ("127.0.0.1", free_port())}}
    used = [own for own in map(_own_address, others) if own]
    configuration = engine.api.create_endpoint_config(ipv4_address=free_address(*network, used))
    return {"network": name, "networking_config": {name: configuration}}


def address(container: Container) -> str:
    """Return the address of a container's service, the same over restarts."""
    if own := _own_address(container):
        return f"http://{own}:{_PORT}"
    port = container.attrs["HostConfig"]["PortBindings"][f"{_PORT}/tcp"][0]["HostPort"]
    return f"http://127.0.0.1:{port}"


def is_taken(exc: BaseException) -> bool:
    """Return whether a container could not start because another process has its port or address."""
    message = str(exc)
    return isinstance(exc, APIError) and (
        "already allocated" in message or "address already in use" in message.lower()
    )


def internal(engine: docker.DockerClient, name: str, labels: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the subnet and gateway of the network of this name, made where there is none.

    None where this machine does not reach its containers.
    """
    for _ in range(_TRIES):
        try:
            found = _found(engine, name) or _made(engine, name, labels)
        except (APIError, NotFound):  # another network took its addresses meanwhile
            continue
        if found[1] in _own_addresses():
            return found
        remove_unused(engine, name)
        return None
    return None


def free_address(subnet: str, gateway: str, used: Iterable[str]) -> str:
    """Return an address of a subnet that nothing has."""
    taken = {gateway, *used}
    return next(str(host) for host in ipaddress.ip_network(subnet).hosts() if str(host) not in taken)


def remove_unused(engine: docker.DockerClient, name: str) -> None:
    """Remove the network if no container runs on it."""
    for network in engine.networks.list(names=[name]):
        if network.name == name:
            try:
                network.remove()
            except APIError:
                return  # a container has it


def _own_address(container: Container) -> str | None:
    """Return the address that a container asked for on such a network, None if it is on another."""
    for endpoint in container.attrs["NetworkSettings"]["Networks"].values():
        if own := (endpoint.get("IPAMConfig") or {}).get("IPv4Address"):
            return str(own)
    return None


def _found(engine: docker.DockerClient, name: str) -> tuple[str, str] | None:
    for network in engine.networks.list(names=[name]):
        if network.name == name and network.attrs["Internal"]:
            return _pool(network.attrs)
    return None


def _made(engine: docker.DockerClient, name: str, labels: Mapping[str, str]) -> tuple[str, str]:
    """Make the network with a subnet that the engine would choose.

    Only in a subnet that was asked for may a container ask for its address, to keep it over restarts.
    """
    asked = {"driver": "bridge", "internal": True, "labels": dict(labels), "check_duplicate": True}
    chosen = engine.networks.create(name, **asked)
    chosen.reload()
    subnet, gateway = _pool(chosen.attrs)
    chosen.remove()
    pool = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet, gateway=gateway)])
    engine.networks.create(name, ipam=pool, **asked)
    return subnet, gateway


def _pool(attributes: Mapping[str, Any]) -> tuple[str, str]:
    first = attributes["IPAM"]["Config"][0]
    subnet = str(first["Subnet"])
    gateway = first.get("Gateway") or next(ipaddress.ip_network(subnet).hosts())
    return subnet, str(gateway).partition("/")[0]


def _own_addresses() -> set[str]:
    return {
        each.address
        for interface in psutil.net_if_addrs().values()
        for each in interface
        if each.family == socket.AF_INET
    }
