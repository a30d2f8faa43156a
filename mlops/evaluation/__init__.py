"""How good a model is: metrics, plots, and the gate that compares two on the same rows."""
