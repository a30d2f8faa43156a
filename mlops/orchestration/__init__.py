"""The loop as Prefect runs it: tasks, flow runs, triggers, the runner, the reconciler.

The only importer of prefect in the library. The flows are the project's own, in its ``flows/``; what
they need is here: ``from mlops.orchestration import flow_run, tasks``.
"""

import os

from mlops import telemetry

telemetry.turn_off(os.environ)  # before prefect is imported
