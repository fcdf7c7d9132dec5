"""The MQTT bridge: messages of a broker become readings or machine events, and are acknowledged once they are stored.

`topics` and `payloads` (pure) make readings of a message, `broker` holds the connection, `engine` gathers, stores and
acknowledges.
"""
