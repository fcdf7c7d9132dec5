"""The verbs of alarms: raise, handle, suppress, watch, escalate, tell."""
