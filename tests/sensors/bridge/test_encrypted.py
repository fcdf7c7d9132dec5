"""TLS, with certificates made here."""

import shutil
import subprocess
from pathlib import Path

import pytest

from sensors.bridge.broker import Broker, BrokerAway
from sensors.bridge.broker_options import BrokerOptions
from tests.sensors.bridge.broker import (
    Mosquitto,
    make_bridge,
    needs_mosquitto,
    run_until,
    stored,
)

pytestmark = [
    needs_mosquitto,
    pytest.mark.skipif(shutil.which("openssl") is None, reason="There is no openssl to make certificates."),
]

# Made in a moment; an RSA key takes up to a second.
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def make_authority(folder: Path, name: str) -> Path:
    openssl(
        folder,
        *("req", "-x509", *NEW_KEY, "-nodes", "-days", "2", "-subj", f"/CN={name}"),
        *("-keyout", f"{name}.key", "-out", f"{name}.crt"),
    )
    return folder / f"{name}.crt"


def sign(folder: Path, name: str, *, authority: str, alternative: str) -> None:
    (folder / f"{name}.ext").write_text(f"subjectAltName={alternative}\n")
    openssl(
        folder,
        *("req", *NEW_KEY, "-nodes", "-subj", f"/CN={name}"),
        *("-keyout", f"{name}.key", "-out", f"{name}.csr"),
    )
    openssl(
        folder,
        *(
            "x509",
            "-req",
            "-in",
            f"{name}.csr",
            "-days",
            "2",
            "-out",
            f"{name}.crt",
            "-extfile",
            f"{name}.ext",
        ),
        *("-CA", f"{authority}.crt", "-CAkey", f"{authority}.key", "-CAcreateserial"),
    )


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("works", "strangers"):
        make_authority(folder, name)
    sign(folder, "broker", authority="works", alternative="IP:127.0.0.1")
    sign(folder, "bridge", authority="works", alternative="DNS:bridge")
    return folder


@pytest.fixture
def broker(tmp_path: Path, certificates: Path):
    """It takes clients with a certificate of the works only."""
    running = Mosquitto(
        tmp_path / "mosquitto",
        settings=f"cafile {certificates}/works.crt\ncertfile {certificates}/broker.crt\n"
        f"keyfile {certificates}/broker.key\nrequire_certificate true\n",
    )
    running.start()
    try:
        yield running
    finally:
        running.kill()


def options(broker: Mosquitto, **more: object) -> dict[str, object]:
    return {"host": "127.0.0.1", "port": broker.port, "is_encrypted": True} | more


@pytest.mark.django_db
def test_readings_come_through_an_encrypted_connection(broker, sensor, secret, certificates):
    own = options(
        broker,
        ca_file=certificates / "works.crt",
        certificate=certificates / "bridge.crt",
        certificate_key=certificates / "bridge.key",
    )
    bridge = make_bridge(broker, secret, payload="value", **own)
    run_until(bridge, lambda: bridge.broker.is_subscribed, broker.log)
    publisher = Broker(BrokerOptions(client_id="gateway", filters=("none",), **own), on_message=print)
    publisher.connect()
    publisher._client.publish("plant/pump-7/vibration", b"4.2", qos=1)
    publisher.disconnect()
    bridge = make_bridge(broker, secret, payload="value", **own)
    run_until(bridge, lambda: stored() == 1, broker.log)


def test_a_broker_that_a_stranger_vouches_for_is_not_spoken_to(broker, certificates):
    own = options(broker, ca_file=certificates / "strangers.crt")
    with pytest.raises(BrokerAway, match="CERTIFICATE_VERIFY_FAILED"):
        Broker(BrokerOptions(client_id="bridge", filters=("#",), **own), on_message=print).connect()


def test_a_broker_that_wants_a_certificate_is_told_so_in_the_log(broker, certificates):
    own = options(broker, ca_file=certificates / "works.crt")
    with pytest.raises(BrokerAway):
        Broker(BrokerOptions(client_id="bridge", filters=("#",), **own), on_message=print).connect()


def test_without_encryption_the_broker_does_not_answer(broker):
    own = options(broker, is_encrypted=False)
    with pytest.raises(BrokerAway):
        Broker(BrokerOptions(client_id="bridge", filters=("#",), **own), on_message=print).connect()
