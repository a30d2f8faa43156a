"""Formulas: distances between distributions, the block bootstrap."""
