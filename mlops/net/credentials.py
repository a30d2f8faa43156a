"""Credentials and TLS settings of the servers, from the environment variables of their own clients.

The clients read these variables themselves. This module is for short requests without a client.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

from mlops.config.settings import Settings

__all__ = ["Access", "basic", "for_mlflow", "for_prefect", "variables"]


@dataclass(frozen=True)
class Access:
    """Credentials and TLS settings of one server.

    Parameters
    ----------
    authorization
        The header ``Authorization``; empty where none is sent.
    ca_bundle
        The file of the CA certificates to trust; empty for the system's.
    verify
        Whether the server's certificate is verified.
    variables
        The environment variables of the credentials, for messages.
    """

    authorization: str = ""
    ca_bundle: str = ""
    verify: bool = True
    variables: str = ""

    @property
    def remedy(self) -> str:
        """What to do where the server rejects the credentials."""
        return f"Set {self.variables} in the project's .env."


def for_prefect(settings: Settings) -> Access:
    """Return the access to the project's Prefect; the auth string wins over the key, as in its client."""
    return Access(
        basic(settings.prefect_api_auth_string) or _bearer(settings.prefect_api_key),
        settings.prefect_api_ssl_cert_file or "",
        not settings.prefect_api_tls_insecure_skip_verify,
        "PREFECT_API_AUTH_STRING or PREFECT_API_KEY",
    )


def for_mlflow(settings: Settings) -> Access:
    """Return the access to the project's MLflow; name and password win over the token, as in its client."""
    user, password = settings.mlflow_tracking_username, settings.mlflow_tracking_password
    return Access(
        basic(f"{user}:{password}" if user and password else None) or _bearer(settings.mlflow_tracking_token),
        settings.mlflow_tracking_server_cert_path or settings.requests_ca_bundle or "",
        not settings.mlflow_tracking_insecure_tls,
        "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    )


def variables(settings: Settings) -> dict[str, str]:
    """Return the variables that are set, for clients that do not read the project's .env."""
    values = {
        str(field.validation_alias): getattr(settings, name)
        for name, field in Settings.model_fields.items()
        if field.validation_alias
    }
    return {
        name: str(value) for name, value in values.items() if value and not name.endswith(("_URL", "_URI"))
    }


def basic(pair: str | None) -> str:
    """Return the header ``Authorization`` of a login, ``name:password``; empty without one."""
    return f"Basic {b64encode(pair.encode()).decode()}" if pair else ""


def _bearer(token: str | None) -> str:
    return f"Bearer {token}" if token else ""
