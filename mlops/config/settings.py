"""The machine's side of what a person sets: ports, addresses and logins, from the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from mlops.addresses import masked
from mlops.errors import ConfigError

__all__ = ["DOCUMENTED", "Settings", "expanded", "load_settings"]

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_IN_ADDRESS = str.maketrans({"@": "%40", ":": "%3A", "/": "%2F"})


class Settings(BaseSettings):
    """The machine's side: ports, addresses, engines.

    Read from the environment, else from the project's ``.env``.
    """

    model_config = SettingsConfigDict(env_prefix="MLOPS_", extra="ignore", frozen=True)

    ledger_uri: str | None = None
    """Address of the ledger's database; default: SQLite under `.mlops/`."""
    base_image: str = "python:3.11-slim"
    """The image that model images are built on: any with Python on its PATH."""
    gateway_port: int = Field(default=8080, ge=1, le=65535)
    """The gateway's port, which clients send requests to."""
    gateway_api_port: int = Field(default=8081, ge=1, le=65535)
    """The port of the gateway's own API, with the service that it routes to."""
    mlflow_port: int = Field(default=5000, ge=1, le=65535)
    """The port of the project's own MLflow."""
    prefect_port: int = Field(default=4200, ge=1, le=65535)
    """The port of the project's own Prefect."""
    mlflow_tracking_uri: str | None = Field(default=None, validation_alias="MLFLOW_TRACKING_URI")
    """Address of an MLflow that runs elsewhere; `mlops up` starts none then."""
    prefect_api_url: str | None = Field(default=None, validation_alias="PREFECT_API_URL")
    """Address of the API of a Prefect that runs elsewhere; `mlops up` starts none then."""
    prefect_api_auth_string: str | None = Field(
        default=None, validation_alias="PREFECT_API_AUTH_STRING", repr=False
    )
    """Name and password for a Prefect server that asks for them: `ada:secret`."""
    prefect_api_key: str | None = Field(default=None, validation_alias="PREFECT_API_KEY", repr=False)
    """A key for a Prefect that asks for one."""
    prefect_api_ssl_cert_file: str | None = Field(default=None, validation_alias="PREFECT_API_SSL_CERT_FILE")
    """File of certificates that Prefect's is checked against; else `SSL_CERT_FILE`, or the system's."""
    prefect_api_tls_insecure_skip_verify: bool = Field(
        default=False, validation_alias="PREFECT_API_TLS_INSECURE_SKIP_VERIFY"
    )
    """Accept any certificate from Prefect."""
    mlflow_tracking_username: str | None = Field(default=None, validation_alias="MLFLOW_TRACKING_USERNAME")
    """Name for an MLflow that requires authentication."""
    mlflow_tracking_password: str | None = Field(
        default=None, validation_alias="MLFLOW_TRACKING_PASSWORD", repr=False
    )
    """Password for an MLflow that requires authentication."""
    mlflow_tracking_token: str | None = Field(
        default=None, validation_alias="MLFLOW_TRACKING_TOKEN", repr=False
    )
    """Token for an MLflow that asks for one instead."""
    mlflow_tracking_server_cert_path: str | None = Field(
        default=None, validation_alias="MLFLOW_TRACKING_SERVER_CERT_PATH"
    )
    """File of certificates that MLflow's is checked against; else `REQUESTS_CA_BUNDLE`, or the system's."""
    mlflow_tracking_insecure_tls: bool = Field(default=False, validation_alias="MLFLOW_TRACKING_INSECURE_TLS")
    """Accept any certificate from MLflow."""
    requests_ca_bundle: str | None = Field(default=None, validation_alias="REQUESTS_CA_BUNDLE")
    """File of certificates for MLflow, unless `MLFLOW_TRACKING_SERVER_CERT_PATH` names one."""
    reconcile_every: float = Field(default=20.0, gt=0)
    """Seconds between two looks of the reconciler at the ledger."""
    reconcile_grace: float = Field(default=30.0, gt=0)
    """Seconds after which the reconciler does what no event started; it waits four times as long before each
    further attempt."""
    serving_token: str | None = Field(default=None, repr=False)
    """The token that other machines send for predictions, see `deploy.expose`: at least 16 characters, as
    `openssl rand -hex 32` prints."""
    fsync: bool = False
    """Sync to disk before each response, so that the prediction log survives a power loss."""

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """Show no password of an address."""
        for name, value in super().__repr_args__():
            yield name, masked(value) if isinstance(value, str) else value


DOCUMENTED = frozenset(
    str(field.validation_alias) for field in Settings.model_fields.values() if field.validation_alias
)
"""The variables of other programs that a project reads, by their usual names."""


def load_settings(file: Path | None = None) -> Settings:
    """Read the settings from the environment, and below it from a project's ``.env``.

    Raises
    ------
    ConfigError
        A variable has an invalid value.
    """
    try:
        return Settings(_env_file=file)  # type: ignore[call-arg]  # pydantic-settings takes it beside the fields
    except ValidationError as exc:
        first = exc.errors()[0]
        name = str(first["loc"][0])  # a variable's own, where it is not one of ours
        raise ConfigError(
            name if name.isupper() else f"MLOPS_{name}".upper(),
            value=first["input"],
            allowed=first["msg"],
            file="environment",
        ) from exc


def expanded(text: str, file: Path | None = None, *, quoted: bool = False) -> str:
    """Put the values of the environment, and below it of a project's ``.env``, where `text` names them.

    Parameters
    ----------
    quoted
        The value of a password, as in ``db://ada:${DB_PASSWORD}@host``, is put as an address has it:
        ``@`` as ``%40``. A ``%`` stays, since the value may be written so already.

    Raises
    ------
    ConfigError
        A variable that it names, as ``${DB_PASSWORD}``, is not set.
    """
    known = {**(dotenv_values(file) if file else {}), **os.environ}

    def value(match: re.Match[str]) -> str:
        setting = known.get(match[1])
        if setting is None:
            raise ConfigError(
                match[1],
                value="nothing",
                allowed="a value: the address of a source names it",
                file="environment",
            )
        is_password = text[: match.start()].endswith(":") and text[match.end() :].startswith("@")
        return setting.translate(_IN_ADDRESS) if quoted and is_password else setting

    return _VARIABLE.sub(value, text)
