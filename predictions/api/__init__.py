"""The API of predictions: the ledger, to read."""
