"""Managers' pages of predictions: the ledger, and what became of each."""

from predictions.admin.ledger import PredictionAdmin
from predictions.admin.outcomes import PredictionOutcomeAdmin

__all__ = ["PredictionAdmin", "PredictionOutcomeAdmin"]
