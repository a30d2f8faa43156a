"""Access: what a server asks of us before it answers, told by its own clients' variables.

The clients read them by themselves. Here they are for the short questions that import no client.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass

from mlops.config.settings import Settings

__all__ = ["Access", "to_mlflow", "to_prefect", "variables"]


@dataclass(frozen=True)
class Access:
    """How a server is asked.

    Parameters
    ----------
    login
        The header ``Authorization``; empty where none is sent.
    authorities
        The file of the certificates to trust; empty for the system's.
    verified
        Whether the server's certificate is looked at.
    variables
        Those that hold a login, as a person reads them.
    """

    login: str = ""
    authorities: str = ""
    verified: bool = True
    variables: str = ""

    @property
    def remedy(self) -> str:
        """What to do where the server does not let us in."""
        return f"It asks for a login: set {self.variables} in the project's .env."


def to_prefect(settings: Settings) -> Access:
    """Return how the project's Prefect is asked: where both are given, as its client, by the auth string."""
    return Access(
        _basic(settings.prefect_api_auth_string) or _bearer(settings.prefect_api_key),
        settings.prefect_api_ssl_cert_file or "",
        not settings.prefect_api_tls_insecure_skip_verify,
        "PREFECT_API_AUTH_STRING or PREFECT_API_KEY",
    )


def to_mlflow(settings: Settings) -> Access:
    """Return how the project's MLflow is asked: where both are given, as its client, by name and password."""
    user, password = settings.mlflow_tracking_username, settings.mlflow_tracking_password
    return Access(
        _basic(f"{user}:{password}" if user and password else None)
        or _bearer(settings.mlflow_tracking_token),
        settings.mlflow_tracking_server_cert_path or settings.requests_ca_bundle or "",
        not settings.mlflow_tracking_insecure_tls,
        "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN",
    )


def variables(settings: Settings) -> dict[str, str]:
    """Return those variables that are set, for clients that do not read the project's .env."""
    given = {
        str(field.validation_alias): getattr(settings, name)
        for name, field in Settings.model_fields.items()
        if field.validation_alias
    }
    return {
        name: str(value) for name, value in given.items() if value and not name.endswith(("_URL", "_URI"))
    }


def _basic(pair: str | None) -> str:
    return f"Basic {b64encode(pair.encode()).decode()}" if pair else ""


def _bearer(token: str | None) -> str:
    return f"Bearer {token}" if token else ""
