"""The verbs of predictions: ask for them, make them, score them."""
