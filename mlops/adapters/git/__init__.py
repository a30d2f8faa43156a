"""git: work trees, commits of chosen paths, the branch of the loop."""
