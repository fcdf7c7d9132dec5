"""The pages of technicians, managers and viewers."""
