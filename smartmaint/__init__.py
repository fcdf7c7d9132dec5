"""Smart Maintenance: from sensor readings to maintenance, and back."""
