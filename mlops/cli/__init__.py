"""The command line: each command parses, makes one call, renders. One file a command."""

from mlops.cli.program import main

__all__ = ["main"]
