"""What is judged of a served model: validity, drift, and whether to retrain."""
