"""Plots of predictions, as Bokeh figures: one as it was made, and how good all of them were."""

from predictions.plots.prediction import describe_prediction, plot_prediction
from predictions.plots.reliability import describe_reliability, plot_reliability

__all__ = ["describe_prediction", "describe_reliability", "plot_prediction", "plot_reliability"]
