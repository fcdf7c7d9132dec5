"""What the benchmarks build and watch: an organisation that approves by itself, a gateway, and the queues."""

import time
from collections.abc import Iterable
from datetime import timedelta
from itertools import islice

import requests

from equipment.models import Criticality, Equipment, EquipmentClass, FailureMode, Site
from sensors.models import Limit, Sensor
from smartmaint import clock
from smartmaint.accounts.models import Organization, Scope
from smartmaint.accounts.services import create_organization, issue_api_key
from smartmaint.health import queues
from tests.plants import make_limit, make_sensor, make_technician, set_policy

POST_SECONDS = 60.0
LARGEST_REQUEST = 10_000

Row = dict[str, object]


class Plant:
    """One organisation: tasks are approved by themselves, there is no budget, technicians work around the clock."""

    def __init__(self, *, url: str, name: str, technicians: int) -> None:
        self.organization: Organization = create_organization(name=name, time_zone="UTC")
        set_policy(self.organization, approval="automatic", daily_budget=None)
        self.site = Site.objects.create(organization=self.organization, name="Works")
        for number in range(technicians):
            make_technician(self.organization, username=f"{name.lower()}-{number}")
        _, secret = issue_api_key(
            organization=self.organization,
            name="gateway",
            scopes=[Scope.INGEST],
            expires_at=clock.now() + timedelta(days=1),
        )
        self.gateway = Gateway(url=url, secret=secret)

    def add_machine(self, tag: str, *, equipment_class: str = "PU") -> Equipment:
        return Equipment.objects.create(
            organization=self.organization,
            site=self.site,
            tag=tag,
            name=tag,
            equipment_class=EquipmentClass.objects.get(organization=self.organization, code=equipment_class),
            criticality=Criticality.B,
        )

    def add_sensor(self, machine: Equipment, key: str, *, quantity: str, unit: str) -> Sensor:
        return make_sensor(machine, key, quantity=quantity, unit=unit, expected_interval_s=3600)

    def add_limit(
        self, sensor: Sensor, level: str, value: float, *, mode: str, dead_band: float = 0.0
    ) -> Limit:
        failure_mode = FailureMode.objects.of_class(sensor.equipment.equipment_class).get(
            organization=self.organization, code=mode
        )
        return make_limit(sensor, level=level, value=value, failure_mode=failure_mode, dead_band=dead_band)


class Gateway:
    """Posts readings and keeps the receipts' counts."""

    def __init__(self, *, url: str, secret: str) -> None:
        self.url = f"{url}/api/v1/readings"
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {secret}"
        self.counts: dict[str, int] = {"requests": 0}

    def post(
        self, rows: Iterable[Row], *, historical: bool = False, rows_a_request: int | None = None
    ) -> None:
        """Send rows in their order, by default as many a request as are allowed. Raises when one is refused."""
        remaining = iter(rows)
        while readings := list(islice(remaining, rows_a_request or LARGEST_REQUEST)):
            body = {"readings": readings, "historical": historical}
            answer = self.session.post(self.url, json=body, timeout=POST_SECONDS)
            if answer.status_code != 200:
                raise RuntimeError(f"{answer.status_code}: {answer.text[:500]}")
            self.counts["requests"] += 1
            for name, count in answer.json().items():
                if name != "batch":
                    self.counts[name] = self.counts.get(name, 0) + count


def wait_until_idle(*, seconds: float) -> float:
    """Return the seconds it took until nothing was pending any more; raises TimeoutError."""
    began = time.monotonic()
    while any(model.objects.pending().exists() for model in queues()):
        if time.monotonic() - began > seconds:
            waiting = {model.__name__: model.objects.pending().count() for model in queues()}
            raise TimeoutError(f"Still pending after {seconds:g} s: {waiting}")
        time.sleep(0.1)
    return time.monotonic() - began
