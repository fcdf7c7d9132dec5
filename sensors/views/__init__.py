"""Pages of sensors for people at work: alarms, and plots for BokehJS."""
