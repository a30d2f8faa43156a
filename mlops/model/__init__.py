"""The model: its bundle, its predictor, its versions, its card."""
