"""What each command does, one module a command. Imports no Prefect."""
