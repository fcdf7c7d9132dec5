"""What sensors tell the other apps. Sent inside the transaction that made it true."""

from django.dispatch import Signal

readings_ingested = Signal()
"""New or changed readings were stored: batch (ReadingBatch)."""

anomaly_detected = Signal()
"""An excursion began: anomaly (Anomaly)."""

anomaly_ended = Signal()
"""The readings of an excursion that had been kept before are normal again: anomaly (Anomaly)."""

anomaly_validated = Signal()
"""An anomaly was judged, by the agent or by a person: anomaly (Anomaly)."""
