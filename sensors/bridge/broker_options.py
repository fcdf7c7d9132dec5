"""Where the bridge's broker is, and how it is spoken to."""

from dataclasses import dataclass, field
from pathlib import Path

from paho.mqtt.enums import MQTTProtocolVersion

PROTOCOLS = {"5": MQTTProtocolVersion.MQTTv5, "3.1.1": MQTTProtocolVersion.MQTTv311}


@dataclass(frozen=True)
class BrokerOptions:
    """Where the broker is, who we are there, and what we subscribe to, for readings and for machine events.

    `inflight` is how many messages the broker may have sent without an acknowledgement (MQTT 5 tells it so),
    `session_expiry_s` how long it keeps what comes while we are away (MQTT 5; else it decides).
    """

    host: str
    client_id: str
    filters: tuple[str, ...] = ()
    event_filters: tuple[str, ...] = ()
    port: int = 1883
    protocol: str = "5"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    keepalive_s: int = 60
    inflight: int = 1000
    session_expiry_s: int = 7 * 86_400
    is_encrypted: bool = False
    ca_file: Path | None = None
    certificate: Path | None = None
    certificate_key: Path | None = None

    @property
    def is_mqtt_5(self) -> bool:
        return self.protocol == "5"
