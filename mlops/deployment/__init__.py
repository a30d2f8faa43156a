"""A model put behind the gateway: its image, its rollout, its client."""
