"""The data of a project: sources, contract, batches, the lake and its versions."""
