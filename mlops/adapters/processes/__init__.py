"""Processes of this machine: their names, their supervisor, their time limits."""
