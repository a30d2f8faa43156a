"""What `mlops down` does: stop the services."""

from __future__ import annotations

from mlops.project.context import Project
from mlops.project.health import serving_supervisor, tools_supervisor
from mlops.project.services import exclusive

__all__ = ["down"]


def down(project: Project, *, serving: bool = False) -> list[str]:
    """Stop the tools; with `serving` also the model services and the gateway. Return what stopped.

    Raises
    ------
    ConflictError
        An `up`, a `down`, or, with `serving`, a deployment of this project is running.
    """
    with exclusive(project, "up"):
        stopped = ["tools"] if tools_supervisor(project).stop() else []
        if serving:
            with exclusive(project, "deploy"):
                for target in project.targets:
                    for service in target.running(unhealthy=True):
                        target.stop(service, drain=5)
                        stopped.append(service.id)
            stopped += ["gateway"] if serving_supervisor(project).stop() else []
    return stopped
