"""The loop as Prefect runs it: wiring of adapters, tasks, triggers, the runner, the reconciler.

The only importer of prefect in the library. The flows themselves are the project's own, in
its ``flows/``; they chain the tasks of these modules, each made by `mlops.orchestration.step`.
"""
