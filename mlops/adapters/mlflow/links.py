"""Addresses of pages in MLflow's UI. Imports no mlflow."""

from __future__ import annotations

from urllib.parse import quote

from mlops.addresses import split_login

__all__ = ["first_page", "run_page", "version_page"]

_VIEW = "?workflowType=machine_learning"
"""Without it MLflow opens its pages for language models."""


def first_page(uri: str) -> str:
    """Return the address of the list of experiments."""
    return f"{_browsed(uri)}/#/experiments{_VIEW}"


def run_page(uri: str, experiment: str, run_id: str, artifact: str = "") -> str:
    """Return the address of a run's page, or of one of its artifacts there."""
    page = f"{_browsed(uri)}/#/experiments/{experiment}/runs/{run_id}"
    return f"{page}/artifacts/{quote(artifact)}{_VIEW}" if artifact else f"{page}{_VIEW}"


def version_page(uri: str, name: str, version: str) -> str:
    """Return the address of a model version's page."""
    return f"{_browsed(uri)}/#/models/{quote(name)}/versions/{version}{_VIEW}"


def _browsed(uri: str) -> str:
    """Return the address for a browser, which asks for the login itself: a link is stored and shown."""
    return split_login(uri)[0].rstrip("/")
