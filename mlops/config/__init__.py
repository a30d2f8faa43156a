"""What a person sets: params.yaml, the environment, and where a project keeps its parts."""
