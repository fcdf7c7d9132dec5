"""What `manage.py bridge_mqtt` takes and refuses before it connects."""

import pytest
from django.core.management import CommandError, call_command

from sensors.bridge.broker import Broker, BrokerAway
from sensors.bridge.broker_options import BrokerOptions


@pytest.fixture(autouse=True)
def secret(monkeypatch):
    monkeypatch.setenv("SMARTMAINT_API_KEY", "sm_nonsense")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--sensor={machine}"], "--sensor: A topic has no {machine}"),
        (["--events-topic=plant/+/alarms", "--machine={machine}"], "--machine: A topic has no {machine}"),
        (
            ["--events-topic=plant/+/alarms", "--machine={2}/{name}"],
            "--machine: A machine's tag comes from the topic",
        ),
        (["--events-topic=plant/a+"], "stands alone"),
        (["--machine={2}"], "with --events-topic only"),
        (["--ca=ca.crt"], "with --tls only"),
        (["--tls", "--certificate-key=bridge.key"], "needs --certificate"),
        (["--tls", "--ca=/nowhere.crt"], "there is no file /nowhere.crt"),
        (["--shared=works", "--payload=sparkplug"], "cannot be shared out"),
        (["--shared=works/1"], "shared subscription"),
        (["--topic=a#"], "stands alone"),
        (["--inflight=0"], "--inflight lies between 1 and 65535"),
        (["--port=70000"], "--port lies between"),
        (["--session-hours=-1"], "--session-hours lies between"),
        (["--client-id="], "--client-id has 1 to 100 characters"),
    ],
)
def test_options_that_do_not_go_together(arguments, words):
    with pytest.raises(CommandError, match=words):
        call_command("bridge_mqtt", "--topic=plant/#", *arguments)


def test_a_topic_is_needed():
    with pytest.raises(CommandError, match="Give a --topic of readings, an --events-topic, or both"):
        call_command("bridge_mqtt")


def test_a_key_is_needed(monkeypatch):
    monkeypatch.delenv("SMARTMAINT_API_KEY")
    with pytest.raises(CommandError, match="SMARTMAINT_API_KEY is empty"):
        call_command("bridge_mqtt", "--topic=plant/#")


@pytest.mark.django_db
def test_a_key_that_opens_nothing_is_told():
    with pytest.raises(CommandError, match=r"The API key is refused\. No such key\."):
        call_command("bridge_mqtt", "--topic=plant/#")


def test_a_broker_that_is_not_there_is_told():
    options = BrokerOptions(host="127.0.0.1", port=1, client_id="bridge", filters=("#",))
    with pytest.raises(BrokerAway, match=r"127\.0\.0\.1:1 cannot be reached"):
        Broker(options, on_message=print).connect()


def test_the_password_is_in_no_log():
    options = BrokerOptions(
        host="h", client_id="bridge", filters=("#",), username="u", password="secret word"
    )
    assert "secret word" not in repr(options)
