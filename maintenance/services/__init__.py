"""The verbs of maintenance: propose, approve, book, do and log work."""
