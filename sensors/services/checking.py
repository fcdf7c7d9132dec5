"""The checks of one request: whose sensors these are, units, the window of time, the physical range."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from django.db import connection

from equipment.models import Equipment
from sensors import storage
from sensors.ingest.checks import (
    DEFAULT_WINDOW_FUTURE_US,
    keep_last,
    quality_by_physical_range,
    refuse_outside_window,
)
from sensors.ingest.fields import LARGEST
from sensors.ingest.parsed import ParsedReadings, Refusal
from sensors.ingest.units import UnitMismatch, UnknownUnit, convert
from sensors.services.retention import window_past_us
from sensors.storage.arrays import text_array
from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Organization
from smartmaint.prepared import PreparedStatement


class Checked(NamedTuple):
    """The readings to store, in the sensors' own units, and every refusal, those of parsing too.

    `index_of_row` is each one's place in the request.
    """

    rows: storage.Rows
    index_of_row: npt.NDArray[np.int64]
    refusals: list[Refusal]


class _Known(NamedTuple):
    """What ingest has to know of a sensor."""

    key: str
    pk: int
    unit: str
    physical_min: float | None
    physical_max: float | None
    equipment_id: int
    is_key_restricted: bool
    retention_days: int


# Each key is looked up by itself: whatever the server believes of the tables, it uses their indexes.
_KNOWN = """
    SELECT wanted.key, sensor.id, sensor.unit, sensor.physical_min, sensor.physical_max, sensor.equipment_id,
           EXISTS (SELECT FROM equipment_keyrestriction WHERE api_key_id = {{2}}),
           (SELECT retention_days FROM sensors_ingestpolicy WHERE organization_id = {{1}})
    FROM unnest({{0}}) AS wanted(key) CROSS JOIN LATERAL ({lookup} LIMIT 1) sensor
    WHERE sensor.is_active
"""
_BY_KEY = PreparedStatement(
    "sensors_by_key",
    _KNOWN.format(lookup="SELECT * FROM sensors_sensor WHERE organization_id = {1} AND key = wanted.key"),
    types=["text[]", "bigint", "bigint"],
)
_BY_ALIAS = PreparedStatement(
    "sensors_by_alias",
    _KNOWN.format(
        lookup="SELECT sensor.* FROM sensors_sensoralias alias JOIN sensors_sensor sensor ON sensor.id = sensor_id "
        "WHERE alias.organization_id = {1} AND alias.key = wanted.key"
    ),
    types=["text[]", "bigint", "bigint"],
)


def check_readings(*, organization: Organization, parsed: ParsedReadings, api_key: ApiKey | None) -> Checked:
    """Convert and check the rows of a request."""
    check = _Check(organization, parsed, api_key)
    check.refuse_unknown_sensors()
    check.convert_units()
    check.refuse_outside_window()
    return check.result()


class _Check:
    """The arrays of a request on their way through the checks; `is_good` marks the rows that passed so far."""

    def __init__(self, organization: Organization, parsed: ParsedReadings, api_key: ApiKey | None) -> None:
        self.parsed = parsed
        self.refusals = list(parsed.refusals)
        self.values = parsed.values
        self.is_good = np.ones(len(parsed.index), dtype=bool)
        self.sensors = _sensors(organization, parsed.keys, api_key)
        self.allowed_equipment = (
            allowed_equipment(api_key)
            if api_key is not None and any(one and one.is_key_restricted for one in self.sensors)
            else None
        )

    def refuse(self, rows: npt.NDArray[np.int64], code: str, detail: str) -> None:
        self.is_good[rows] = False
        index = self.parsed.index
        self.refusals += [Refusal(int(index[row]), code, detail, row=row) for row in rows.tolist()]

    def refuse_unknown_sensors(self) -> None:
        for number, (key, sensor) in enumerate(zip(self.parsed.keys, self.sensors, strict=True)):
            if sensor is None:
                problem = ("unknown_sensor", f'There is no sensor "{key}".')
            elif self.allowed_equipment is not None and sensor.equipment_id not in self.allowed_equipment:
                problem = ("forbidden_equipment", f'This key may not post for the equipment of "{key}".')
            else:
                continue
            self.refuse(np.flatnonzero(self.parsed.key_of_row == number), *problem)

    def convert_units(self) -> None:
        if self.parsed.units == [None]:
            return
        self.values = self.parsed.values.copy()
        width = len(self.parsed.units)
        pair_of_row = self.parsed.key_of_row * width + self.parsed.unit_of_row
        for pair in np.unique(pair_of_row[self.is_good]).tolist():
            sensor, unit = self.sensors[pair // width], self.parsed.units[pair % width]
            if sensor is None or unit is None or unit == sensor.unit:
                continue
            rows = np.flatnonzero(self.is_good & (pair_of_row == pair))
            try:
                self.values[rows] = convert(self.values[rows], unit, sensor.unit)
            except (UnknownUnit, UnitMismatch) as error:
                self.refuse(rows, error.code, str(error))
        too_large = self.is_good & (np.abs(self.values) > LARGEST)
        self.refuse(
            np.flatnonzero(too_large),
            "invalid_value",
            f"The value is beyond {LARGEST:g} in the sensor's unit.",
        )

    def refuse_outside_window(self) -> None:
        rows = np.flatnonzero(self.is_good)
        retention_days = next((one.retention_days for one in self.sensors if one is not None), None)
        if retention_days is None:
            return
        now_us = storage.microseconds(clock.now())
        is_inside, refusals = refuse_outside_window(
            row=rows,
            index=self.parsed.index[rows],
            ts_us=self.parsed.ts_us[rows],
            window_from_us=now_us - window_past_us(retention_days),
            window_to_us=now_us + DEFAULT_WINDOW_FUTURE_US,
            precision=self.parsed.precision,
        )
        self.is_good[rows[~is_inside]] = False
        self.refusals += refusals

    def result(self) -> Checked:
        """What is left, sorted by sensor and time; of rows with the same sensor and time the last one."""
        kept = np.flatnonzero(self.is_good)
        sensor_ids = self._per_row(lambda sensor: sensor.pk, kept, dtype=np.int64)
        order = keep_last(sensor_ids, self.parsed.ts_us[kept])
        rows = kept[order]
        readings = storage.Rows(
            sensor_ids=sensor_ids[order],
            ts_us=self.parsed.ts_us[rows],
            values=self.values[rows],
            quality=self._quality(rows),
        )
        refusals = sorted(self.refusals, key=lambda refusal: refusal.index)
        return Checked(readings, self.parsed.index[rows], refusals)

    def _quality(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
        if all(one is None or one.physical_min is one.physical_max is None for one in self.sensors):
            return self.parsed.quality[rows]
        return quality_by_physical_range(
            values=self.values[rows],
            quality=self.parsed.quality[rows],
            physical_min=self._per_row(lambda sensor: _or_nan(sensor.physical_min), rows, dtype=np.float64),
            physical_max=self._per_row(lambda sensor: _or_nan(sensor.physical_max), rows, dtype=np.float64),
        )

    def _per_row(
        self, read: Callable[[_Known], float], rows: npt.NDArray[np.int64], *, dtype: type
    ) -> npt.NDArray:
        """A property of each row's sensor."""
        per_key: npt.NDArray = np.array(
            [0 if sensor is None else read(sensor) for sensor in self.sensors], dtype=dtype
        )
        return per_key[self.parsed.key_of_row[rows]]


def _sensors(organization: Organization, keys: list[str], api_key: ApiKey | None) -> list[_Known | None]:
    """The active sensor of each key, by its own key or else by an alias; None where there is none."""
    others = (organization.pk, api_key and api_key.pk)
    with connection.cursor() as cursor:
        _BY_KEY.execute(cursor, text_array(keys), *others)
        known = {row[0]: _Known(*row) for row in cursor.fetchall()}
        if missing := [key for key in keys if key not in known]:
            _BY_ALIAS.execute(cursor, text_array(missing), *others)
            known |= {row[0]: _Known(*row) for row in cursor.fetchall()}
    return [known.get(key) for key in keys]


def _or_nan(bound: float | None) -> float:
    return np.nan if bound is None else bound


def allowed_equipment(api_key: ApiKey) -> set[int] | None:
    """Equipment that a restricted key may post for, with what stands below it; None: all of its organisation."""
    restrictions = list(api_key.restrictions.select_related("equipment"))
    if not restrictions:
        return None
    return {
        pk
        for restriction in restrictions
        for pk in Equipment.objects.with_descendants(of=restriction.equipment).values_list("pk", flat=True)
    }
