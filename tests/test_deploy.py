"""What an installation can set reaches its processes."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# Tracebacks for everybody, folders of the image, and what only `make run` reads.
NOT_FOR_CONTAINERS = {"DEBUG", "BROKER_FOLDER", "SMARTMAINT_VAR", "SMARTMAINT_DEMO", "HOST", "PORT"}
OF_THE_BRIDGE = {"SMARTMAINT_API_KEY", "MQTT_USERNAME", "MQTT_PASSWORD", "BRIDGE_OPTIONS"}
# Agents hold locks for a session: a pooler by transaction may stand before the web alone.
OF_THE_WEB = {"PREPARED_STATEMENTS"}


def test_containers_get_every_setting():
    known = re.findall(r"^#(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    compose = (ROOT / "deploy" / "compose.yaml").read_text()
    environment = compose.split("environment: &environment\n")[1].split("\n\n")[0]
    assert (
        set(re.findall(r"^ +(\w+):", environment, re.MULTILINE))
        == set(known) - NOT_FOR_CONTAINERS - OF_THE_BRIDGE - OF_THE_WEB
    )
    web = compose.split("\n  web:\n")[1].split("\n\n")[0]
    assert all(f"{name}: ${{{name}" in web for name in OF_THE_WEB)
