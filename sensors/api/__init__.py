"""The API of sensors: readings in, and sensors, readings and anomalies out."""
