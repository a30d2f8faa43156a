"""The machine: what may be deleted, and which packages are installed."""
