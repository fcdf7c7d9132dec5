"""The verbs of sensors: take readings in, notice anomalies, judge them, start baselines anew."""
