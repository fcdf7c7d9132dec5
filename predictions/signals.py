"""What predictions tell the other apps. Sent inside the transaction that made it true."""

from django.dispatch import Signal

prediction_made = Signal()
"""A prediction entered the ledger (also called MaintenancePredicted): prediction (Prediction)."""

prediction_scored = Signal()
"""It became known what a prediction was worth: outcome (PredictionOutcome)."""
