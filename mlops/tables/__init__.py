"""Rows of any table: read, conformed to a schema, sampled, written."""
