"""The stages of dvc.yaml, one module each: ``python -m mlops.stages NAME``.

Each takes files to files below a project's root and nothing else counts: the same files
give the same bytes, in a flow's process as on the command line.
"""
