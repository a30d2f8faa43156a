"""Prefect over HTTP: its address, its health, its deployments. Imports no prefect."""
