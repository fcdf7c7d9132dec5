"""The verbs of notifications: tell people, deliver what was told, keep what each wants to hear."""
