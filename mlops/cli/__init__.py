"""The command line: each command parses, makes one call, renders. One file a command."""

from mlops.cli.app import main

__all__ = ["main"]
