"""The checks of one request: whose sensors these are, units, the window of time, the physical range."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from equipment.models import Equipment
from sensors import storage
from sensors.ingest.checks import (
    DEFAULT_WINDOW_FUTURE_US,
    DEFAULT_WINDOW_PAST_US,
    keep_last,
    quality_by_physical_range,
    refuse_outside_window,
)
from sensors.ingest.fields import LARGEST
from sensors.ingest.parsed import ParsedReadings, Refusal
from sensors.ingest.units import UnitMismatch, UnknownUnit, convert
from sensors.models import Sensor
from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Organization


def check_readings(
    *, organization: Organization, parsed: ParsedReadings, api_key: ApiKey | None
) -> tuple[storage.Rows, list[Refusal]]:
    """Return the rows to store, in the sensors' own units, and every refusal (those of parsing too)."""
    check = _Check(organization, parsed, api_key)
    check.refuse_unknown_sensors()
    check.convert_units()
    check.refuse_outside_window()
    return check.rows(), check.refusals


class _Check:
    """The arrays of a request on their way through the checks; `is_good` marks the rows that passed so far."""

    def __init__(self, organization: Organization, parsed: ParsedReadings, api_key: ApiKey | None) -> None:
        self.parsed = parsed
        self.refusals = list(parsed.refusals)
        self.values = parsed.values.copy()
        self.is_good = np.ones(len(parsed.index), dtype=bool)
        self.keys, self.key_of_row = _numbered(parsed.sensor_keys)
        known = Sensor.objects.for_organization(organization).active().filter(key__in=self.keys)
        by_key = {sensor.key: sensor for sensor in known}
        self.sensors = [by_key.get(key) for key in self.keys]
        self.allowed_equipment = _allowed_equipment(api_key)

    def refuse(self, rows: npt.NDArray[np.int64], code: str, detail: str) -> None:
        self.is_good[rows] = False
        self.refusals += [Refusal(int(index), code, detail) for index in self.parsed.index[rows]]

    def refuse_unknown_sensors(self) -> None:
        for number, (key, sensor) in enumerate(zip(self.keys, self.sensors, strict=True)):
            if sensor is None:
                problem = ("unknown_sensor", f'There is no sensor "{key}".')
            elif self.allowed_equipment is not None and sensor.equipment_id not in self.allowed_equipment:
                problem = ("forbidden_equipment", f'This key may not post for the equipment of "{key}".')
            else:
                continue
            self.refuse(np.flatnonzero(self.key_of_row == number), *problem)

    def convert_units(self) -> None:
        units, unit_of_row = _numbered(self.parsed.units)
        pairs = set(
            zip(self.key_of_row[self.is_good].tolist(), unit_of_row[self.is_good].tolist(), strict=True)
        )
        for number, unit_number in pairs:
            sensor, unit = self.sensors[number], units[unit_number]
            if unit is None or unit == sensor.unit:
                continue
            rows = np.flatnonzero(self.is_good & (self.key_of_row == number) & (unit_of_row == unit_number))
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
        now_us = storage.microseconds(clock.now())
        rows = np.flatnonzero(self.is_good)
        is_inside, refusals = refuse_outside_window(
            index=self.parsed.index[rows],
            ts_us=self.parsed.ts_us[rows],
            window_from_us=now_us - DEFAULT_WINDOW_PAST_US,
            window_to_us=now_us + DEFAULT_WINDOW_FUTURE_US,
        )
        self.is_good[rows[~is_inside]] = False
        self.refusals += refusals

    def rows(self) -> storage.Rows:
        """What is left, sorted by sensor and time; of rows with the same sensor and time the last one."""
        kept = np.flatnonzero(self.is_good)
        sensor_ids = self._per_row(lambda sensor: sensor.pk, kept, dtype=np.int64)
        kept_last = keep_last(sensor_ids, self.parsed.ts_us[kept])
        order = kept_last[np.lexsort((self.parsed.ts_us[kept][kept_last], sensor_ids[kept_last]))]
        rows = kept[order]
        return storage.Rows(
            sensor_ids=sensor_ids[order],
            ts_us=self.parsed.ts_us[rows],
            values=self.values[rows],
            quality=quality_by_physical_range(
                values=self.values[rows],
                quality=self.parsed.quality[rows],
                physical_min=self._per_row(
                    lambda sensor: _or_nan(sensor.physical_min), rows, dtype=np.float64
                ),
                physical_max=self._per_row(
                    lambda sensor: _or_nan(sensor.physical_max), rows, dtype=np.float64
                ),
            ),
        )

    def _per_row(self, read, rows: npt.NDArray[np.int64], *, dtype: type) -> npt.NDArray:
        """A property of each row's sensor."""
        per_key: npt.NDArray = np.array(
            [0 if sensor is None else read(sensor) for sensor in self.sensors], dtype=dtype
        )
        return per_key[self.key_of_row[rows]]


def _numbered(values: Iterable) -> tuple[list, npt.NDArray[np.int64]]:
    """Distinct values in order of appearance, and each row's number among them."""
    numbers: dict = {}
    of_row = np.array([numbers.setdefault(value, len(numbers)) for value in values], dtype=np.int64)
    return list(numbers), of_row


def _or_nan(bound: float | None) -> float:
    return np.nan if bound is None else bound


def _allowed_equipment(api_key: ApiKey | None) -> set[int] | None:
    """Equipment that the key may post for, with what stands below it; None when it is not restricted."""
    if api_key is None:
        return None
    restrictions = list(api_key.restrictions.select_related("equipment"))
    if not restrictions:
        return None
    return {
        pk
        for restriction in restrictions
        for pk in Equipment.objects.with_descendants(of=restriction.equipment).values_list("pk", flat=True)
    }
