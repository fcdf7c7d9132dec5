"""Takes readings and machine events from an MQTT broker until it is told to stop."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sensors.bridge.broker_options import PROTOCOLS, BrokerOptions
from sensors.bridge.engine import Bridge
from sensors.bridge.payloads import KINDS
from sensors.bridge.storing import BridgeStopped
from sensors.bridge.topics import check_filter, machine_template, shared_filter, topic_template
from sensors.ingest.naming import BadTemplate, Template

KEY_VARIABLE, USER_VARIABLE, PASSWORD_VARIABLE = "SMARTMAINT_API_KEY", "MQTT_USERNAME", "MQTT_PASSWORD"
PORT, TLS_PORT = 1883, 8883
MAX_CLIENT_ID = 100
SPARKPLUG = "sparkplug"


class Command(BaseCommand):
    # They read all pages and forms, which this process never shows: half of its start, and a fifth of its memory.
    requires_system_checks = ()
    help = (
        "Subscribes to topics of an MQTT broker and stores what comes as readings or machine events. A message is "
        "acknowledged once it is stored. The environment gives the secret of an API key with the scope ingest "
        f"({KEY_VARIABLE}), and user and password of the broker ({USER_VARIABLE}, {PASSWORD_VARIABLE}). SIGTERM or "
        "Ctrl-C ends it in good order."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="localhost", help="the broker's; default: localhost")
        parser.add_argument("--port", type=int, help=f"default: {PORT}, with TLS {TLS_PORT}")
        parser.add_argument(
            "--topic",
            action="append",
            default=[],
            metavar="FILTER",
            help="of readings; may be given several times",
        )
        parser.add_argument("--payload", choices=KINDS, default="json", help="default: json")
        parser.add_argument(
            "--sensor",
            metavar="TEMPLATE",
            help="the sensor's key, such as {2}/{3} or {2}/{name}: {1} is the topic's first level, {topic} all of it, "
            "{name} what the payload calls the value; default: the key's own naming, else by the payload",
        )
        parser.add_argument(
            "--events-topic",
            action="append",
            default=[],
            metavar="FILTER",
            help="of machine events, in JSON; may be given several times",
        )
        parser.add_argument(
            "--machine",
            metavar="TEMPLATE",
            help="the tag of the machine of events that name none, such as {2}: the topic's second level",
        )
        parser.add_argument(
            "--shared", metavar="GROUP", help="share the messages with other bridges of this group"
        )
        parser.add_argument(
            "--client-id", default="smartmaint", help="names the session at the broker; default: smartmaint"
        )
        parser.add_argument("--protocol", choices=PROTOCOLS, default="5", help="version of MQTT; default: 5")
        parser.add_argument(
            "--session-hours",
            type=float,
            default=168,
            metavar="HOURS",
            help="how long an MQTT 5 broker keeps messages while the bridge is away; default: 168",
        )
        parser.add_argument(
            "--inflight", type=int, default=1000, help="messages on their way at once (MQTT 5); default: 1000"
        )
        parser.add_argument("--keepalive", type=int, default=60, metavar="SECONDS", help="default: 60")
        parser.add_argument("--tls", action="store_true", help="encrypt, and check the broker's certificate")
        parser.add_argument(
            "--ca", type=Path, metavar="FILE", help="whose certificates to trust; default: the system's"
        )
        parser.add_argument("--certificate", type=Path, metavar="FILE", help="the bridge's own certificate")
        parser.add_argument("--certificate-key", type=Path, metavar="FILE", help="its private key")

    def handle(self, *args: object, **options: Any) -> None:
        secret = os.environ.get(KEY_VARIABLE, "")
        if not secret:
            raise CommandError(f"{KEY_VARIABLE} is empty: set it to the secret of an API key.")
        bridge = Bridge(
            secret=secret,
            options=_broker_options(options),
            kind=KINDS[options["payload"]](),
            template=_template(options, "sensor", topic_template),
            machine=_template(options, "machine", machine_template),
        )
        earlier = {
            number: signal.signal(number, lambda *_: bridge.stopping.set())
            for number in (signal.SIGTERM, signal.SIGINT)
        }
        try:
            bridge.run()
        except BridgeStopped as error:
            raise CommandError(str(error)) from error
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)


def _template(options: dict[str, Any], name: str, read: Callable[[str], Template]) -> Template | None:
    try:
        return read(options[name]) if options[name] else None
    except BadTemplate as error:
        raise CommandError(f"--{name}: {error}") from error


def _broker_options(options: dict[str, Any]) -> BrokerOptions:
    """Raises CommandError for options that do not go together."""
    if not options["tls"] and any(options[name] for name in ("ca", "certificate", "certificate_key")):
        raise CommandError("Certificates are used with --tls only.")
    if options["certificate_key"] and not options["certificate"]:
        raise CommandError("--certificate-key needs --certificate.")
    if options["shared"] and options["payload"] == SPARKPLUG:
        # A node's birth must come to whom its messages come, and in order.
        raise CommandError(
            "Sparkplug nodes cannot be shared out message by message: give each bridge its groups."
        )
    if not options["topic"] and not options["events_topic"]:
        raise CommandError("Give a --topic of readings, an --events-topic, or both.")
    if options["machine"] and not options["events_topic"]:
        raise CommandError("--machine is used with --events-topic only.")
    if not 1 <= len(options["client_id"]) <= MAX_CLIENT_ID:
        raise CommandError(f"--client-id has 1 to {MAX_CLIENT_ID} characters.")
    within = {
        "port": (1, 65_535),
        "inflight": (1, 65_535),
        "keepalive": (5, 65_535),
        "session_hours": (0, 1e6),
    }
    for name, (least, most) in within.items():
        if options[name] is not None and not least <= options[name] <= most:
            raise CommandError(f"--{name.replace('_', '-')} lies between {least} and {most:g}.")
    for name in ("ca", "certificate", "certificate_key"):
        if options[name] and not options[name].is_file():
            raise CommandError(f"--{name.replace('_', '-')}: there is no file {options[name]}.")
    try:
        filters, event_filters = (
            tuple(
                check_filter(topic) if options["shared"] is None else shared_filter(topic, options["shared"])
                for topic in options[name]
            )
            for name in ("topic", "events_topic")
        )
    except ValueError as error:
        raise CommandError(str(error)) from error
    return BrokerOptions(
        host=options["host"],
        port=options["port"] or (TLS_PORT if options["tls"] else PORT),
        client_id=options["client_id"],
        filters=filters,
        event_filters=event_filters,
        protocol=options["protocol"],
        username=os.environ.get(USER_VARIABLE) or None,
        password=os.environ.get(PASSWORD_VARIABLE) or None,
        keepalive_s=options["keepalive"],
        inflight=options["inflight"],
        # All bits set would mean "never"; so long is never too.
        session_expiry_s=min(round(options["session_hours"] * 3600), 2**32 - 2),
        is_encrypted=options["tls"],
        ca_file=options["ca"],
        certificate=options["certificate"],
        certificate_key=options["certificate_key"],
    )
