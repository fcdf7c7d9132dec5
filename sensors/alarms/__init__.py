"""Alarms after ISA-18.2, pure: the states and the one table between them, severity, floods and key figures."""
