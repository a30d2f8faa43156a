"""A project's history played through the loop's decisions: what another policy would have served."""
