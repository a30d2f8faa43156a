"""The prediction log: segments, their writer and reader, labels, lineage."""
