"""Deployment targets: one class each, see `mlops.deployment.rollout.Target`."""
