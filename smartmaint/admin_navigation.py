"""What stands beside every page of the admin, in the order of a manager's day."""

from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse

from smartmaint.accounts.access import allows
from smartmaint.accounts.models import Role

Item = dict[str, Any]


def stylesheet(request: HttpRequest) -> str:
    return static("smartmaint/admin.css")


def icon(request: HttpRequest) -> str:
    return static("smartmaint/icon.svg")


def sidebar(request: HttpRequest) -> list[Item]:
    """The groups of links, without what this person may not open."""
    groups = [_overview(), _maintenance(), _predictions(request), _sensors(request), _plant()]
    if request.user.is_superuser or allows(request, Role.MANAGER):
        groups.append(_organisation(request))
    if request.user.is_superuser:
        groups.append(_service())
    return groups


def _overview() -> Item:
    return _group(
        "",
        _item("Overview", "dashboard", reverse("admin:index")),
        # Every address begins with that of the home page, which would make it the current one always.
        _item("Home", "home", reverse("home")) | {"active": False},
    )


def _maintenance() -> Item:
    return _group(
        "Maintenance",
        _list("Tasks", "assignment", "maintenance_maintenancetask", "?attention=open"),
        _list("Bookings", "calendar_month", "maintenance_booking"),
        _list("Findings", "fact_check", "maintenance_maintenancelog"),
        _list("Technicians", "engineering", "maintenance_technician"),
        _list("Skills", "school", "maintenance_skill"),
        _list("Standard jobs", "menu_book", "maintenance_standardjob"),
        _list("Policy", "gavel", "maintenance_maintenancepolicy"),
    )


def _predictions(request: HttpRequest) -> Item:
    outcomes, accuracy = (
        reverse(f"admin:predictions_{page}") for page in ("predictionoutcome_changelist", "accuracy")
    )
    is_about_one = request.path.startswith(outcomes) and request.path != accuracy
    return _group(
        "Predictions",
        _list("Risks", "trending_up", "predictions_prediction", "?age=newest"),
        # The address of the other page begins with that of this one.
        _item("What became of them", "target", outcomes) | {"active": is_about_one},
        _item("Accuracy", "ads_click", accuracy),
        _list("Decisions", "call_split", "maintenance_proposal"),
        _list("Replays", "replay", "maintenance_replayrun"),
    )


def _sensors(request: HttpRequest) -> Item:
    alarms, figures = reverse("admin:sensors_alarm_changelist"), reverse("admin:sensors_alarm_figures")
    is_about_alarms = request.path.startswith(alarms) and request.path != figures
    return _group(
        "Sensors",
        # The address of the other page begins with that of this one.
        _list("Alarms", "notifications_active", "sensors_alarm", "?show=open")
        | {
            "badge": "sensors.context_processors.badge",
            "badge_variant": "danger",
            "active": is_about_alarms,
        },
        _item("Key figures of alarms", "monitoring", figures),
        _list("Anomalies", "troubleshoot", "sensors_anomaly"),
        _list("Machine events", "electrical_services", "sensors_machineevent"),
        _list("Event rules", "rule_settings", "sensors_eventrule"),
        _list("Counts of events", "counter_1", "sensors_eventcount"),
        _list("Sensors", "sensors", "sensors_sensor"),
        _list("Limits", "horizontal_rule", "sensors_limit"),
        _list("Validation rules", "rule", "sensors_validationrule"),
        _list("Unknown sensors", "help", "sensors_unknownsensor"),
        _list("Sensor aliases", "link", "sensors_sensoralias"),
        _list("Batches of readings", "inbox", "sensors_readingbatch"),
        _list("Rejected readings", "block", "sensors_rejectedreading"),
        _list("Ingest policy", "policy", "sensors_ingestpolicy"),
        _list("Alarm policy", "alarm", "sensors_alarmpolicy"),
    )


def _plant() -> Item:
    return _group(
        "Plant",
        _list("Equipment", "precision_manufacturing", "equipment_equipment"),
        _list("Sites", "factory", "equipment_site"),
        _list("Equipment classes", "category", "equipment_equipmentclass"),
        _list("Failure modes", "warning", "equipment_failuremode"),
        _list("Failures", "bolt", "equipment_failure"),
    )


def _organisation(request: HttpRequest) -> Item:
    items = [_list("Members", "group", "accounts_membership")]
    if request.user.is_superuser or allows(request, Role.MANAGER):
        items += [
            _list("Senders", "cell_tower", "sensors_keyusage"),
            _list("Who was told what", "outgoing_mail", "notifications_notification"),
            _list("Who wants to be told what", "notifications", "notifications_notificationpreference"),
        ]
    if request.user.is_superuser or allows(request, Role.ADMIN):
        items += [
            _list("API keys", "key", "accounts_apikey"),
            _list("What keys may post for", "lock", "equipment_keyrestriction"),
            _list("How readings are named", "label", "sensors_sensornaming"),
            _list("How much keys may send", "speed", "sensors_keyallowance"),
        ]
    return _group("Organisation", *items)


def _service() -> Item:
    return _group(
        "Service",
        _list("Organisations", "domain", "accounts_organization"),
        _list("Users", "person", "accounts_user"),
        _item("Storage of readings", "database", reverse("admin:sensors_storage")),
        _list("Runs of agents", "smart_toy", "smartmaint_agentrun"),
        _list("Schedule of agents", "schedule", "django_celery_beat_periodictask"),
        _list("Failed log-ins", "login", "axes_accessattempt"),
        _list("Log-ins", "history", "axes_accesslog"),
    )


def _group(title: str, *items: Item) -> Item:
    return {"title": title, "separator": bool(title), "items": list(items)}


def _list(title: str, icon: str, model: str, filtered: str = "") -> Item:
    return _item(title, icon, reverse(f"admin:{model}_changelist") + filtered)


def _item(title: str, icon: str, link: str) -> Item:
    return {"title": title, "icon": icon, "link": link}
