"""Sources of rows: one class each, see `mlops.data.source.Source`."""
