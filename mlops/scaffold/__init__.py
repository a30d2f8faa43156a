"""A new project from a table: its profile, the proposal, the files."""
