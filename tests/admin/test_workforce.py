"""Technicians and when they are away; the policy."""

from datetime import UTC, datetime

import pytest

from maintenance.models import Absence, MaintenancePolicy

pytestmark = pytest.mark.django_db


def technician_form(plant, *absences: dict) -> dict:
    form = {"user": plant.technician.user_id, "home_site": "", "is_active": "on"}
    for prefix, count in (("certificates", 0), ("shifts", 0), ("absences", len(absences))):
        form |= {f"{prefix}-TOTAL_FORMS": str(count), f"{prefix}-INITIAL_FORMS": "0"}
    form["absences-INITIAL_FORMS"] = str(sum("id" in absence for absence in absences))
    for number, absence in enumerate(absences):
        form |= {f"absences-{number}-{name}": value for name, value in absence.items()}
        form[f"absences-{number}-technician"] = plant.technician.pk
    return form


def away(begin: str, end: str) -> dict:
    (begin_day, begin_time), (end_day, end_time) = begin.split(), end.split()
    return {
        "begins_at_0": begin_day,
        "begins_at_1": begin_time,
        "ends_at_0": end_day,
        "ends_at_1": end_time,
        "reason": "Leave",
    }


def save(client, plant, *absences: dict):
    address = f"/admin/maintenance/technician/{plant.technician.pk}/change/"
    return client.post(address, technician_form(plant, *absences))


def errors_of(response) -> list:
    assert response.status_code == 200
    formsets = [inline.formset for inline in response.context["inline_admin_formsets"]]
    return [dict(errors) for formset in formsets for errors in formset.errors if errors]


def test_an_absence_is_told_in_the_organisations_time(manager_client, plant):
    assert save(manager_client, plant, away("2026-07-01 08:00", "2026-07-03 17:00")).status_code == 302
    period = Absence.objects.get().period
    assert (period.lower, period.upper) == (
        datetime(2026, 7, 1, 6, tzinfo=UTC),
        datetime(2026, 7, 3, 15, tzinfo=UTC),
    )


def test_an_absence_that_ends_before_it_begins_is_refused(manager_client, plant):
    response = save(manager_client, plant, away("2026-07-03 08:00", "2026-07-01 17:00"))
    assert errors_of(response) == [{"ends_at": ["It ends before it begins."]}]


def test_an_absence_over_another_is_refused_in_words(manager_client, plant):
    first, second = away("2026-07-01 08:00", "2026-07-03 17:00"), away("2026-07-02 08:00", "2026-07-05 17:00")
    response = save(manager_client, plant, second, first)
    assert errors_of(response) == [{"__all__": ["This technician is away then already."]}]
    assert Absence.objects.count() == 0


def test_an_absence_over_a_stored_one_is_refused_in_words(manager_client, plant):
    save(manager_client, plant, away("2026-07-01 08:00", "2026-07-03 17:00"))
    stored = {"id": Absence.objects.get().pk} | away("2026-07-01 08:00", "2026-07-03 17:00")
    second = away("2026-07-03 16:59", "2026-07-05 17:00")
    response = save(manager_client, plant, stored, second)
    assert errors_of(response) == [{"__all__": ["This technician is away then already."]}]
    later = away("2026-07-03 17:00", "2026-07-05 17:00")
    assert save(manager_client, plant, stored, later).status_code == 302
    assert Absence.objects.count() == 2


def test_there_is_one_policy_and_its_list_leads_to_it(manager_client, organization, other_organization):
    policy = MaintenancePolicy.objects.get(organization=organization)
    response = manager_client.get("/admin/maintenance/maintenancepolicy/")
    assert response.url == f"/admin/maintenance/maintenancepolicy/{policy.pk}/change/"
    assert manager_client.get("/admin/maintenance/maintenancepolicy/add/").status_code == 403
    assert manager_client.post(f"/admin/maintenance/maintenancepolicy/{policy.pk}/delete/").status_code == 403


def test_a_policy_is_changed_with_its_history(manager_client, organization):
    policy = MaintenancePolicy.objects.get(organization=organization)
    form = {
        "approval": "automatic",
        "propose_from_probability": "0.3",
        "inspect_from_probability": "0.25",
        "propose_within_days": "14",
        "daily_budget": "",
        "cooldown_hours": "24",
    }
    address = f"/admin/maintenance/maintenancepolicy/{policy.pk}/change/"
    assert manager_client.post(address, form).status_code == 302
    policy.refresh_from_db()
    assert (policy.approval, policy.propose_from_probability, policy.daily_budget) == ("automatic", 0.3, None)
    assert policy.inspect_from_probability == 0.25
    assert policy.history.count() == 2
    too_sure = manager_client.post(address, form | {"propose_from_probability": "1.5"})
    assert list(too_sure.context["adminform"].form.errors) == ["propose_from_probability"]
