"""MLflow: runs, model versions, the local server, links into its UI."""
