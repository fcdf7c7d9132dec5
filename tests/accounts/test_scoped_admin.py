"""The walls of the admin, on a small site that uses every kind of scoped page."""

import pytest
from django.contrib.admin.sites import AdminSite
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import ImproperlyConfigured

from equipment.models import Equipment, EquipmentClass, Failure, FailureMode, Site
from smartmaint import clock
from smartmaint.accounts.models import Organization
from smartmaint.accounts.scoped_admin import ScopedModelAdmin

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.accounts.urls")]


class Plant:
    """One site with one machine, and all that hangs on them, in an organisation; named after `word`."""

    def __init__(self, organization: Organization, word: str) -> None:
        owned = {"organization": organization}
        self.site = Site.objects.create(**owned, name=f"{word} works")
        self.kind = EquipmentClass.objects.create(**owned, code=f"{word}K", name=f"{word} kind")
        self.mode = FailureMode.objects.create(**owned, code=f"{word}M", name=f"{word} mode")
        self.machine = Equipment.objects.create(
            **owned, site=self.site, tag=f"{word}-1", name=f"{word} machine", equipment_class=self.kind
        )
        self.part = Equipment.objects.create(
            **owned,
            site=self.site,
            parent=self.machine,
            tag=f"{word}-2",
            name=f"{word} part",
            equipment_class=self.kind,
        )
        self.failure = Failure.objects.create(
            **owned, equipment=self.machine, failure_mode=self.mode, failed_at=clock.now()
        )


@pytest.fixture
def own(organization) -> Plant:
    return Plant(organization, "Own")


@pytest.fixture
def foreign(other_organization) -> Plant:
    return Plant(other_organization, "Alien")


def text(response) -> str:
    assert response.status_code == 200, response
    return response.content.decode()


def machine_form(plant: Plant, **changes) -> dict:
    form = {
        "site": plant.site.pk,
        "parent": "",
        "tag": "N-1",
        "name": "New",
        "equipment_class": plant.kind.pk,
        "criticality": "B",
        "state": "operating",
    }
    return {**form, **changes}


def errors_of(response) -> dict:
    assert response.status_code == 200, response
    return dict(response.context["adminform"].form.errors)


LISTS = ["site", "equipment", "failure", "failuremode", "equipmentclass"]


@pytest.mark.parametrize("model", LISTS)
def test_lists_show_own_rows_only(viewer_client, own, foreign, model):
    page = text(viewer_client.get(f"/admin/equipment/{model}/"))
    assert ("Own" in page, "Alien" in page) == (True, False)


def test_a_search_finds_own_rows_only(manager_client, own, foreign):
    page = text(manager_client.get("/admin/equipment/equipment/?q=-1"))
    assert ("Own-1" in page, "Alien" in page) == (True, False)


@pytest.mark.parametrize("action", ["change", "delete", "history"])
def test_pages_of_a_foreign_row_are_not_there(manager_client, own, foreign, action):
    assert manager_client.get(f"/admin/equipment/equipment/{own.machine.pk}/{action}/").status_code == 200
    for method in (manager_client.get, manager_client.post):
        assert method(f"/admin/equipment/equipment/{foreign.machine.pk}/{action}/").status_code == 404


def test_an_earlier_version_of_a_foreign_row_is_not_there(manager_client, own, foreign):
    version = foreign.machine.history.get()
    own_version = own.machine.history.get()
    assert (
        manager_client.get(
            f"/admin/equipment/equipment/{own.machine.pk}/history/{own_version.pk}/"
        ).status_code
        == 200
    )
    for pk in (foreign.machine.pk, own.machine.pk):
        for method in (manager_client.get, manager_client.post):
            assert method(f"/admin/equipment/equipment/{pk}/history/{version.pk}/").status_code == 404


def test_the_history_of_a_foreign_row_that_was_deleted_is_not_there(manager_client, foreign):
    pk = foreign.part.pk
    foreign.part.delete()
    assert manager_client.get(f"/admin/equipment/equipment/{pk}/history/").status_code == 404


def test_a_manager_goes_back_to_an_earlier_version_and_a_viewer_does_not(manager_client, viewer_client, own):
    version = own.machine.history.get()
    Equipment.objects.filter(pk=own.machine.pk).update(name="Renamed")
    address = f"/admin/equipment/equipment/{own.machine.pk}/history/{version.pk}/"
    form = machine_form(own, tag="Own-1", name="Own machine")
    assert viewer_client.get(address).status_code == 200
    assert viewer_client.post(address, form).status_code == 403
    own.machine.refresh_from_db()
    assert own.machine.name == "Renamed"
    assert manager_client.post(address, form).status_code == 302
    own.machine.refresh_from_db()
    assert own.machine.name == "Own machine"


def test_choices_offer_own_rows_only(manager_client, own, foreign):
    page = text(manager_client.get("/admin/equipment/equipment/add/"))
    assert ("Own machine" in page, "Alien" in page) == (True, False)


@pytest.mark.parametrize("field", ["site", "parent", "equipment_class"])
def test_the_id_of_a_foreign_row_is_no_valid_choice(manager_client, own, foreign, field):
    alien = {"site": foreign.site, "parent": foreign.machine, "equipment_class": foreign.kind}[field]
    response = manager_client.post("/admin/equipment/equipment/add/", machine_form(own, **{field: alien.pk}))
    assert list(errors_of(response)) == [field]
    assert str(alien) not in response.content.decode()


def test_a_new_row_belongs_to_the_organisation_whatever_the_form_says(
    manager_client, own, foreign, organization, other_organization
):
    form = machine_form(own, organization=other_organization.pk)
    assert manager_client.post("/admin/equipment/equipment/add/", form).status_code == 302
    assert Equipment.objects.get(tag="N-1").organization == organization
    assert 'name="organization"' not in text(manager_client.get("/admin/equipment/equipment/add/"))


def test_a_change_cannot_move_a_row_to_another_organisation(
    manager_client, own, other_organization, organization
):
    form = machine_form(own, tag="Own-1", organization=other_organization.pk)
    assert (
        manager_client.post(f"/admin/equipment/equipment/{own.machine.pk}/change/", form).status_code == 302
    )
    own.machine.refresh_from_db()
    assert (own.machine.organization, own.machine.name) == (organization, "New")


def test_a_name_that_is_taken_is_a_form_error_and_free_for_others(
    manager_client, outsider_client, own, foreign
):
    response = manager_client.post("/admin/equipment/equipment/add/", machine_form(own, tag="Own-1"))
    assert list(errors_of(response)) == ["__all__"]
    taken_elsewhere = machine_form(foreign, tag="Own-1")
    assert outsider_client.post("/admin/equipment/equipment/add/", taken_elsewhere).status_code == 302


def test_filters_offer_own_rows_only(manager_client, own, foreign, organization):
    second = Plant(organization, "Also")
    response = manager_client.get("/admin/equipment/equipment/")
    by_path = {spec.field_path: spec for spec in response.context["cl"].filter_specs}
    own_kinds = EquipmentClass.objects.for_organization(organization)
    assert {pk for pk, _ in by_path["equipment_class"].lookup_choices} == {kind.pk for kind in own_kinds}
    assert {pk for pk, _ in by_path["parent"].lookup_choices} == {
        row.pk for plant in (own, second) for row in (plant.machine, plant.part)
    }
    assert set(by_path["site__name"].lookup_choices) == {"Own works", "Also works"}
    assert "Alien" not in text(response)


@pytest.mark.parametrize("parameter", ["site__id__exact", "parent__id__exact", "equipment_class__id__exact"])
def test_a_filter_by_a_foreign_row_shows_neither_rows_nor_its_name(manager_client, own, foreign, parameter):
    alien = {"site": foreign.site, "parent": foreign.machine}.get(parameter.split("__")[0], foreign.kind)
    response = manager_client.get(f"/admin/equipment/equipment/?{parameter}={alien.pk}")
    assert (list(response.context["cl"].result_list), "Alien" in text(response)) == ([], False)


def test_an_autocomplete_finds_own_rows_only(manager_client, own, foreign):
    query = {"app_label": "equipment", "model_name": "equipment", "field_name": "site", "term": "works"}
    answer = manager_client.get("/admin/autocomplete/", query).json()
    assert answer["results"] == [{"id": str(own.site.pk), "text": "Own works"}]


def test_an_action_touches_own_rows_only(manager_client, own, foreign):
    picked = {
        "action": "delete_selected",
        "_selected_action": [own.part.pk, foreign.part.pk],
        "post": "yes",
    }
    manager_client.post("/admin/equipment/equipment/", picked)
    assert (
        Equipment.objects.filter(tag="Own-2").exists(),
        Equipment.objects.filter(tag="Alien-2").exists(),
    ) == (
        False,
        True,
    )


def test_editing_in_the_list_touches_own_rows_only(manager_client, own, foreign):
    def form(pk: int) -> dict:
        return {
            "form-TOTAL_FORMS": 1,
            "form-INITIAL_FORMS": 1,
            "form-0-id": pk,
            "form-0-name": "Renamed",
            "_save": "Save",
        }

    manager_client.post("/admin/equipment/site/", form(foreign.site.pk))
    foreign.site.refresh_from_db()
    assert foreign.site.name == "Alien works"
    assert manager_client.post("/admin/equipment/site/", form(own.site.pk)).status_code == 302
    own.site.refresh_from_db()
    assert own.site.name == "Renamed"


def site_form(plant: Plant, **row) -> dict:
    return {
        "name": plant.site.name,
        "address": "",
        "equipment-TOTAL_FORMS": 1,
        "equipment-INITIAL_FORMS": 0,
        "equipment-0-site": plant.site.pk,
        "equipment-0-tag": "N-9",
        "equipment-0-name": "Nine",
        "equipment-0-equipment_class": plant.kind.pk,
        **{f"equipment-0-{name}": value for name, value in row.items()},
    }


def test_a_row_added_inside_a_page_belongs_to_the_organisation(manager_client, own, organization):
    response = manager_client.post(f"/admin/equipment/site/{own.site.pk}/change/", site_form(own))
    assert response.status_code == 302
    assert Equipment.objects.get(tag="N-9").organization == organization


@pytest.mark.parametrize("field", ["parent", "equipment_class"])
def test_a_row_inside_a_page_cannot_link_a_foreign_one(manager_client, own, foreign, field):
    alien = {"parent": foreign.machine, "equipment_class": foreign.kind}[field]
    response = manager_client.post(
        f"/admin/equipment/site/{own.site.pk}/change/", site_form(own, **{field: alien.pk})
    )
    assert list(response.context["inline_admin_formsets"][0].formset.errors[0]) == [field]


def test_a_name_taken_inside_a_page_is_a_form_error(manager_client, own):
    response = manager_client.post(
        f"/admin/equipment/site/{own.site.pk}/change/", site_form(own, tag="Own-1")
    )
    assert list(response.context["inline_admin_formsets"][0].formset.errors[0]) == ["__all__"]


def test_a_viewer_looks_and_changes_nothing(viewer_client, own):
    address = f"/admin/equipment/equipment/{own.machine.pk}"
    assert viewer_client.get(f"{address}/change/").status_code == 200
    assert viewer_client.post(f"{address}/change/", machine_form(own)).status_code == 403
    assert viewer_client.get("/admin/equipment/equipment/add/").status_code == 403
    assert viewer_client.post(f"{address}/delete/", {"post": "yes"}).status_code == 403


def test_a_ledger_is_read_by_all_and_written_by_nobody(manager_client, operator_client, organization, own):
    operator_client.post("/switch-organization/", {"organization": organization.pk})
    for client in (manager_client, operator_client):
        assert client.get(f"/admin/equipment/failure/{own.failure.pk}/change/").status_code == 200
        assert client.get("/admin/equipment/failure/add/").status_code == 403
        assert (
            client.post(f"/admin/equipment/failure/{own.failure.pk}/delete/", {"post": "yes"}).status_code
            == 403
        )


def test_the_operator_looks_at_all_and_writes_in_the_chosen_one(operator_client, own, foreign, organization):
    page = text(operator_client.get("/admin/equipment/site/"))
    assert all(word in page for word in ("Own works", "Alien works", "Northwind Quarry"))
    assert operator_client.get("/admin/equipment/site/add/").status_code == 403
    operator_client.post("/switch-organization/", {"organization": organization.pk})
    assert "Alien" not in text(operator_client.get("/admin/equipment/site/"))
    assert operator_client.get(f"/admin/equipment/site/{foreign.site.pk}/change/").status_code == 404
    assert operator_client.get("/admin/equipment/site/add/").status_code == 200


def test_the_way_to_a_rows_page_leads_to_own_rows_only(manager_client, foreign):
    content_type = ContentType.objects.get_for_model(Equipment)
    assert manager_client.get(f"/admin/r/{content_type.pk}/{foreign.machine.pk}/").status_code == 404
    for content_type_id in ("x", "²"):
        assert manager_client.get(f"/admin/r/{content_type_id}/1/").status_code == 404


def test_options_that_would_open_a_hole_are_refused():
    class Leaky(ScopedModelAdmin):
        raw_id_fields = ["site"]

    with pytest.raises(ImproperlyConfigured):
        Leaky(Equipment, AdminSite())
