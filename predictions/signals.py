"""What predictions tell the other apps. Sent inside the transaction that made it true."""

from django.dispatch import Signal

predictions_made = Signal()
"""Predictions entered the ledger together (each also called MaintenancePredicted): predictions (list of Prediction)."""

predictions_dropped = Signal()
"""Predictions are about to leave the ledger, by its retention: predictions (list of their keys)."""

prediction_scored = Signal()
"""It became known what a prediction was worth: outcome (PredictionOutcome)."""
