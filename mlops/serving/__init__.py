"""The service inside the image: rows in, predictions out, each logged first.

The only importer of the web framework, and the only place that knows HTTP's status codes.
"""

from __future__ import annotations

from mlops.serving.app import build_app
from mlops.serving.service import Service

__all__ = ["Service", "build_app"]
