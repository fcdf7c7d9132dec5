"""Plots of sensors, as Bokeh figures; the canvas serves the apps to the right as well."""

from sensors.plots.canvas import DARK, LIGHT, Look
from sensors.plots.sensor import describe, plot_sensor, window_around
from sensors.plots.series import Series, read_series
from sensors.services.reading_back import MAX_POINTS

__all__ = [
    "DARK",
    "LIGHT",
    "MAX_POINTS",
    "Look",
    "Series",
    "describe",
    "plot_sensor",
    "read_series",
    "window_around",
]
