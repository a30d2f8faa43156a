"""Formulas: distances between distributions, the interval of a mean."""
