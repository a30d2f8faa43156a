"""The loop as Prefect runs it: wiring of adapters, tasks, triggers, the runner, the reconciler.

The only importer of prefect in the library. The flows themselves are the project's own, in
its ``flows/``, and chain the tasks of `mlops.orchestration.tasks`.
"""
