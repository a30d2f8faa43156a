"""Which rows are held out, the fit, and the search over parameters."""
