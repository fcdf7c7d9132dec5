"""Nobody sees or touches another organisation's rows, at any address, by any method.

The tests walk the URL configuration and the forms of its pages, so that a new page is covered by being there;
`tests/walls/` builds the two organisations and looks at each answer and at the database.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urljoin

import pytest
from django.contrib import admin
from django.forms import BaseForm, ModelChoiceField
from django.http import HttpResponse
from django.test import override_settings

from sensors.models import Reading
from smartmaint import clock
from smartmaint.accounts.models import Role
from tests.walls.addresses import Address, every_address
from tests.walls.evidence import Evidence
from tests.walls.marks import FRAGMENT, mark_texts, unmarked
from tests.walls.page_forms import Fields, forms_of
from tests.walls.visits import SENDS_TO_LOG_IN, Visitor, outcome, person, undone
from tests.walls.world import FOREIGN_IDS, OWN_IDS, World, build_world, owned_models

pytestmark = pytest.mark.django_db

# What a row's address may answer to somebody who may not use that page at all: it says nothing about the row.
CLOSED = {SENDS_TO_LOG_IN, 401, 403, 405}
# Addresses that lead nowhere for some own rows too.
NO_PAGES = {"admin/r/%(content_type_id)s/%(object_id)s/"}


@dataclass
class Scene:
    """Both organisations; no visit leaves a trace, so one scene serves all tests."""

    own: World
    foreign: World
    evidence: Evidence
    addresses: list[Address]
    answers: dict[tuple[str, str], HttpResponse]


@pytest.fixture(scope="module")
def scene(django_db_setup, django_db_blocker) -> Iterator[Scene]:
    with (
        django_db_blocker.unblock(),
        override_settings(PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"]),
        undone(),
    ):
        foreign = build_world(name="Faraway", first_id=FOREIGN_IDS, sensor="compressor-3")
        # Last, so that rows which a visit makes have ids that are not taken for foreign ones.
        own = build_world(name="Northwind", first_id=OWN_IDS, sensor="pump-7")
        mark_texts(foreign)
        logging.disable()
        yield Scene(own, foreign, Evidence(foreign=foreign, own=own), every_address(), {})
        logging.disable(logging.NOTSET)


@pytest.fixture
def own(scene) -> World:
    return scene.own


@pytest.fixture
def foreign(scene) -> World:
    return scene.foreign


@pytest.fixture(params=[None, *Role], ids=lambda role: role or "nobody")
def visitor(request, scene) -> Visitor:
    """Nobody, or a person of the own organisation in one of the roles."""
    return member(scene, request.param) if request.param else Visitor("nobody", scene.evidence)


@pytest.fixture
def org_admin(scene) -> Visitor:
    """Of all people in the own organisation the one who may do most."""
    return member(scene, Role.ADMIN)


@pytest.fixture
def gateway(scene) -> Visitor:
    """A program with a key of the own organisation."""
    return Visitor("gateway", scene.evidence, headers={"Authorization": f"Bearer {scene.own.secret}"})


def member(scene: Scene, role: Role) -> Visitor:
    return person(scene.own.people[role], evidence=scene.evidence, remembers=scene.foreign)


def test_both_organisations_have_a_row_of_every_kind(own, foreign):
    for model in owned_models():
        for world in (own, foreign):
            first = model._default_manager.filter(pk=world.first_id, organization=world.organization)
            assert first.exists(), (model, world.organization)
        assert unmarked(model, foreign) == set(), model
    assert Reading.objects.for_organization(foreign.organization).exists()


@pytest.mark.parametrize("role", [Role.TECHNICIAN, Role.ADMIN])
def test_own_rows_are_there_and_show_nothing_foreign(role, scene):
    """Without this a 404 for a foreign row would prove nothing."""
    visitor = member(scene, role)
    for address in scene.addresses:
        answers = {outcome(own_answer(visitor, path, scene)) for path in address.own(scene.own)}
        if address.is_of_an_organization and address.template not in NO_PAGES:
            assert 404 not in answers, address.template
    assert visitor.findings == []


def test_no_address_opens_a_foreign_row(visitor, scene):
    for address in scene.addresses:
        visit_address(visitor, address, scene)
    assert visitor.findings == []


def test_no_address_of_the_api_opens_a_foreign_row_to_a_key(gateway, scene):
    for address in scene.addresses:
        if address.is_api:
            visit_address(gateway, address, scene)
    assert gateway.findings == []


def visit_address(visitor: Visitor, address: Address, scene: Scene) -> None:
    """GET and POST the address with foreign rows in it; or as it is, when it names none."""

    def post(path: str) -> HttpResponse:
        if address.is_api:
            return visitor.post_json(path, api_body(scene.foreign))
        return visitor.post(path, [("post", "yes")])

    if not address.parameters:
        for path in address.own(scene.own):
            own_answer(visitor, path, scene)
            post(path)
    for path in address.foreign(scene.own, scene.foreign):
        for send in (visitor.get, post):
            answer = outcome(send(path))
            tells_nothing = answer in CLOSED or not address.is_of_an_organization
            # Only where 404 is missing is it worth a look whether an own row gets the same answer.
            if answer != 404 and not (
                tells_nothing and answer in {outcome(send(own)) for own in address.own(scene.own)}
            ):
                visitor.accuse(path, f"{answer} instead of 404, unlike for an own row")


def api_body(foreign: World) -> dict:
    """One body with something in it for every verb of the API, foreign wherever it names a row."""
    reading = {"sensor": foreign.sensor_key, "ts": clock.now().isoformat(), "value": 1.0}
    mode = foreign.plant.failure_mode.code
    event = {"equipment": foreign.plant.machine.tag, "code": "E17", "ts": clock.now().isoformat()}
    return {"readings": [reading], "events": [event], "verdict": "no_fault_found", "failure_mode": mode}


@pytest.mark.parametrize("role", [Role.TECHNICIAN, Role.ADMIN])
def test_no_form_takes_the_id_of_a_foreign_row(role, scene):
    visitor, tried = member(scene, role), set()
    for path, page in own_pages(visitor, scene):
        for form in forms_of(page.content.decode(), address=path):
            if form.method == "post":
                for link, body in form.with_each_link_replaced(scene.foreign.first_id):
                    answer = visitor.post(urljoin(path, form.action), body)
                    if link in choices_taken(answer):
                        visitor.accuse(path, f"took a foreign row as its {link}")
                    tried.add(link)
    assert visitor.findings == []
    assert "failure_mode" in tried


def choices_taken(answer: HttpResponse) -> set[str]:
    """The choices of rows, in a form that is shown again, that were found to be in order."""
    shown = answer.context or {}
    forms = [shown.get("form"), getattr(shown.get("adminform"), "form", None)]
    for inline in shown.get("inline_admin_formsets") or []:
        forms += inline.formset.forms
    return {
        form.add_prefix(name)
        for form in forms
        if isinstance(form, BaseForm) and form.is_bound
        for name, field in form.fields.items()
        if isinstance(field, ModelChoiceField) and name not in form.errors
    }


def test_no_search_and_no_filter_finds_a_foreign_row(org_admin, scene):
    for path, page in own_pages(org_admin, scene):
        for query in queries_of(path, page, scene.foreign):
            org_admin.get(path, query)
    for word in (FRAGMENT, str(scene.foreign.first_id)):
        org_admin.get("/admin/search/", [("s", word)])
    assert org_admin.findings == []


def queries_of(path: str, page: HttpResponse, foreign: World) -> Iterator[Fields]:
    """What a page's search and filters can ask for, pointed at a foreign row."""
    if changelist := (page.context or {}).get("cl"):
        yield [("q", FRAGMENT)]
        for filter_of_list in changelist.filter_specs:
            for parameter in filter_of_list.expected_parameters():
                yield [(parameter, str(foreign.first_id))]
        return
    for form in forms_of(page.content.decode(), address=path):
        if form.method == "get":
            for _, query in form.with_each_link_replaced(foreign.first_id):
                yield query
            for _, query in form.with_each_word_replaced(FRAGMENT):
                yield query


def own_pages(visitor: Visitor, scene: Scene) -> list[tuple[str, HttpResponse]]:
    """Every page with HTML that this person can open, for the own organisation's rows."""
    paths = [path for address in scene.addresses if not address.is_api for path in address.own(scene.own)]
    answers = [(path, own_answer(visitor, path, scene)) for path in paths]
    return [
        (path, answer)
        for path, answer in answers
        if answer.status_code == 200 and "text/html" in answer.headers["Content-Type"]
    ]


def own_answer(visitor: Visitor, path: str, scene: Scene) -> HttpResponse:
    """What GET answers to an address of the own organisation: asked once, for all tests."""
    if (visitor.name, path) not in scene.answers:
        scene.answers[visitor.name, path] = visitor.get(path)
    return scene.answers[visitor.name, path]


def test_no_autocomplete_offers_a_foreign_row(org_admin, own):
    links = [
        (model._meta, field.name)
        for model in admin.site._registry
        for field in model._meta.get_fields()
        if field.is_relation and field.concrete
    ]
    offered = set()
    for meta, name in links:
        query = [("app_label", meta.app_label), ("model_name", meta.model_name), ("field_name", name)]
        everything, nothing = (
            org_admin.get("/admin/autocomplete/", [*query, ("term", term)]) for term in ("", FRAGMENT)
        )
        if everything.status_code == 200:
            offered |= {choice["id"] for choice in everything.json()["results"]}
            assert nothing.json()["results"] == [], (meta, name)
    assert org_admin.findings == []
    assert str(own.first_id) in offered


def test_no_action_touches_a_foreign_row(org_admin, scene):
    tried = set()
    for path, page in own_pages(org_admin, scene):
        action_form = (page.context or {}).get("action_form")
        for name, _ in action_form.fields["action"].choices if action_form else []:
            picked = [("action", name), ("_selected_action", str(scene.foreign.first_id)), ("post", "yes")]
            for across in "01":
                org_admin.post(path, [*picked, ("select_across", across), ("index", "0")])
            tried.add(name)
    assert org_admin.findings == []
    assert {"delete_selected", "try_again", "disable"} <= tried


def test_a_reading_for_a_foreign_sensor_is_for_no_sensor(gateway, foreign):
    answer = gateway.post_json("/api/v1/readings", api_body(foreign))

    problem = answer.json()
    assert (answer.status_code, problem["accepted"], problem["rejected"]) == (422, 0, 1)
    assert problem["errors"][0]["code"] == "unknown_sensor"
    assert gateway.findings == []


def test_an_event_of_a_foreign_machine_is_of_no_machine(gateway, foreign):
    answer = gateway.post_json("/api/v1/events", api_body(foreign))

    problem = answer.json()
    assert (answer.status_code, problem["accepted"], problem["rejected"]) == (422, 0, 1)
    assert problem["errors"][0]["code"] == "unknown_equipment"
    assert gateway.findings == []
