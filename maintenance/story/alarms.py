"""The part of a story that alarms tell: what happened to each, and who handled it."""

from maintenance.story.entries import Cause, Entry, Kind, Place
from maintenance.story.signs import Machines, anomaly_place, newest
from sensors.models import AlarmCause, AlarmEntry, EntryKind

_LEVEL = {
    EntryKind.RETURNED: "good",
    EntryKind.ACKNOWLEDGED: "info",
    EntryKind.ESCALATED: "high",
}


def alarms(machines: Machines, start: Place | None, most: int) -> list[Entry]:
    rows = AlarmEntry.objects.filter(alarm__equipment__in=list(machines)).select_related(
        "alarm__failure_mode", "by"
    )
    told = list(newest(rows, Kind.ALARM, "at", start, most))
    alarm_ids = {entry.alarm_id for entry in told}
    begun, caused = _first_entries(alarm_ids), _first_anomalies(alarm_ids)
    return [_entry(entry, machines, _because(entry, begun, caused)) for entry in told]


def _because(entry: AlarmEntry, begun: dict[int, Place], caused: dict[int, Cause]) -> Cause | None:
    """An alarm comes from an anomaly, and all that happens to it from the alarm."""
    beginning = begun[entry.alarm_id]
    return caused.get(entry.alarm_id) if beginning == _place(entry) else Cause("the alarm", beginning)


def _entry(entry: AlarmEntry, machines: Machines, because: Cause | None) -> Entry:
    alarm, place = entry.alarm, _place(entry)
    return Entry(
        place=place,
        title=f"Alarm {entry.get_kind_display()}: {alarm.what}",
        words=f"{entry.get_severity_display()}, {entry.get_to_state_display().lower()}"
        + (f", by {entry.by.display_name}." if entry.by else "."),
        details=tuple(filter(None, [entry.comment])),
        level="high" if entry.is_annunciation else _LEVEL.get(EntryKind(entry.kind), "low"),
        machine=machines[alarm.equipment_id],
        because=because,
        alarm_id=alarm.pk,
    )


def _first_entries(alarm_ids: set[int]) -> dict[int, Place]:
    """By alarm, where its story began."""
    rows = (
        AlarmEntry.objects.filter(alarm__in=alarm_ids).order_by("alarm_id", "at", "id").distinct("alarm_id")
    )
    return {entry.alarm_id: _place(entry) for entry in rows}


def _first_anomalies(alarm_ids: set[int]) -> dict[int, Cause]:
    """By alarm, the anomaly that it was raised from."""
    rows = AlarmCause.objects.filter(alarm__in=alarm_ids).order_by("alarm_id", "id").distinct("alarm_id")
    return {
        cause.alarm_id: Cause(f"the anomaly of {cause.anomaly.sensor.key}", anomaly_place(cause.anomaly))
        for cause in rows.select_related("anomaly__sensor")
    }


def _place(entry: AlarmEntry) -> Place:
    return Place.of(entry.at, Kind.ALARM, entry.pk)
