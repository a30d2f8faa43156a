"""The command line: each verb parses, makes one call, renders."""

from mlops.cli.app import main

__all__ = ["main"]
