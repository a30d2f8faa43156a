"""How other machines reach a deployed model: an address, a certificate, and the digest of a token."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from mlops.errors import ConfigError

__all__ = ["VARIABLE", "Exposure", "exposure"]

VARIABLE = "MLOPS_SERVING_TOKEN"
_LEAST = 16


@dataclass(frozen=True)
class Exposure:
    """What the gateway offers to other machines.

    Parameters
    ----------
    address
        Where it listens: ``0.0.0.0:8443``.
    certificate, key
        Files; None where the gateway makes a certificate of its own.
    token_digest
        The token's sha256. The token itself is in no file, argument or container of ours.
    """

    address: str
    certificate: Path | None
    key: Path | None
    token_digest: str

    @property
    def port(self) -> int:
        """The port of `address`."""
        return int(self.address.rpartition(":")[2])


def exposure(
    address: str, *, certificate: str | None, key: str | None, token: str | None, root: Path
) -> Exposure:
    """Check what params.yaml and the environment say of it.

    Parameters
    ----------
    root
        The folder that a relative path begins in.

    Raises
    ------
    ConfigError
        There is no token, or one that can be guessed; or a file is not there.
    """
    if not token or len(token) < _LEAST or not token.isascii() or not token.isprintable() or " " in token:
        # Never the value: an error is printed and logged.
        value = "one that is too short or holds spaces or other letters" if token else "nothing"
        raise ConfigError(
            VARIABLE,
            value=value,
            allowed=f"a token of at least {_LEAST} characters (`openssl rand -hex 32` prints one): "
            "deploy.expose lets in who sends it, and without one only this machine",
            file="environment",
        )
    files = [root / name if name else None for name in (certificate, key)]
    for name, file in zip(("certificate", "key"), files, strict=True):
        if file is not None and not file.is_file():
            raise ConfigError(f"deploy.expose.{name}", value=str(file), allowed="a file in PEM form")
    digest = hashlib.sha256(token.encode()).hexdigest()
    return Exposure(address, files[0], files[1], digest)
