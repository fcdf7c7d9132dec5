"""The list of machines and a machine's page."""

import pytest
from django.urls import reverse

from equipment.models import Equipment, FailureMode, Site
from equipment.services import record_failure
from maintenance.machines import tree_rows
from smartmaint import clock
from tests.plants import Plant, foretell, make_limit, make_plant, make_sensor, post

pytestmark = pytest.mark.django_db


def below(parent: Equipment, tag: str, **fields: object) -> Equipment:
    return Equipment.objects.create(
        organization=parent.organization,
        site=fields.get("site", parent.site),
        parent=parent,
        tag=tag,
        name=fields.get("name", tag),
        equipment_class=parent.equipment_class,
    )


@pytest.fixture
def deep(plant) -> tuple[Equipment, Equipment]:
    """A motor below the pump and a bearing below the motor, at another site."""
    motor = below(plant.machine, "M-7", name="Motor")
    other_site = Site.objects.create(organization=plant.organization, name="Depot")
    return motor, below(motor, "B-7", name="Bearing", site=other_site)


def tree(plant: Plant, **filters: object) -> list[tuple[str, int, bool]]:
    return [(row.machine.tag, row.depth, row.is_match) for row in tree_rows(plant.organization, **filters)]


def test_the_tree_stands_in_reading_order(plant, deep):
    make_plant(plant.organization, name="a-fan")

    assert tree(plant) == [("A-FAN", 0, True), ("PUMP-7", 0, True), ("M-7", 1, True), ("B-7", 2, True)]


def test_a_search_keeps_the_way_to_what_it_finds(plant, deep):
    make_plant(plant.organization, name="a-fan")

    assert tree(plant, search="bear") == [("PUMP-7", 0, False), ("M-7", 1, False), ("B-7", 2, True)]
    assert tree(plant, search="pump-7") == [("PUMP-7", 0, True)]
    assert tree(plant, site=deep[1].site) == [("PUMP-7", 0, False), ("M-7", 1, False), ("B-7", 2, True)]


def row_of(client, tag, **query):
    rows = client.get(reverse("machine-list"), query).context["machines"]
    return next(row for row in rows if row.node.machine.tag == tag)


def test_the_list_says_how_each_machine_is(viewer_client, plant, proposed):
    temperature = make_sensor(plant.machine, "pump-7/temperature", unit="Cel")
    hot = make_limit(temperature, value=90, failure_mode=plant.failure_mode)
    foretell(plant, p30=0.3, sensor=temperature, limit=hot)
    post(plant.sensor, [2.0])

    row = row_of(viewer_client, "PUMP-7")

    assert (row.sensor_count, row.open_tasks, row.worst.p_30d) == (2, 1, 0.8)
    page = viewer_client.get(reverse("machine-list")).content.decode()
    assert '<span class="badge badge--high">80 %</span>' in page
    assert "now" in page


def test_nothing_known_is_not_called_zero(viewer_client, plant, deep):
    page = viewer_client.get(reverse("machine-list")).content.decode()

    assert "not enough data" in page
    assert "no sensors" in page
    assert "0 %" not in page


def test_the_filters_of_the_list(viewer_client, plant, deep):
    page = viewer_client.get(reverse("machine-list"), {"site": deep[1].site_id, "search": "B-7"})

    assert [row.node.machine.tag for row in page.context["machines"]] == ["PUMP-7", "M-7", "B-7"]
    nothing = viewer_client.get(reverse("machine-list"), {"search": "no such\0"}).content.decode()
    assert "No machine is called so there." in nothing


def test_another_organisations_site_and_machine_are_not_there(outsider_client, plant):
    assert outsider_client.get(reverse("machine-list"), {"site": plant.site.pk}).status_code == 404
    assert outsider_client.get(reverse("machine", args=[plant.machine.pk])).status_code == 404
    assert "PUMP-7" not in outsider_client.get(reverse("machine-list")).content.decode()


def test_the_lists_queries_do_not_grow_with_the_plant(
    viewer_client, plant, deep, django_assert_max_num_queries, django_assert_num_queries
):
    foretell(plant)
    with django_assert_max_num_queries(12) as few:
        viewer_client.get(reverse("machine-list"))
    for number in range(4):
        foretell(make_plant(plant.organization, name=f"fan-{number}"))

    with django_assert_num_queries(len(few.captured_queries)):
        viewer_client.get(reverse("machine-list"))


def machine_page(client, machine, **query) -> str:
    return client.get(reverse("machine", args=[machine.pk]), query).content.decode()


def test_a_machines_page_holds_what_is_known_of_it(viewer_client, plant, proposed):
    post(plant.sensor, [4.25])
    record_failure(
        equipment=plant.machine,
        failure_mode=FailureMode.objects.get(equipment_class=plant.machine.equipment_class, code="NOI"),
        failed_at=clock.now(),
    )

    page = machine_page(viewer_client, plant.machine)

    for words in (
        "4.25 mm/s",
        "high 7.1 mm/s",
        "80 % within 30 days",
        f'data-plot-url="/plots/sensor/{plant.sensor.pk}.json?days=7"',
        proposed.title,
        "waits for approval",
        "Noise (NOI)",
    ):
        assert words in page


def test_the_way_up_the_tree_is_shown(viewer_client, plant, deep):
    motor, bearing = deep

    page = viewer_client.get(reverse("machine", args=[bearing.pk]))

    assert page.context["path"] == [plant.machine, motor]
    assert reverse("machine", args=[bearing.pk]) in machine_page(viewer_client, motor)


@pytest.mark.parametrize(("asked", "shown"), [("30", 30), ("90", 90), ("12", 7), ("many", 7)])
def test_the_plots_reach_back_as_far_as_asked(viewer_client, plant, asked, shown):
    assert f".json?days={shown}" in machine_page(viewer_client, plant.machine, days=asked)


def test_no_prediction_is_said_in_words(viewer_client, plant):
    assert "Not enough data yet: no prediction since the last repair." in machine_page(
        viewer_client, plant.machine
    )


def test_a_machines_queries_do_not_grow_with_its_sensors(
    viewer_client, plant, django_assert_max_num_queries, django_assert_num_queries
):
    foretell(plant)
    with django_assert_max_num_queries(35) as few:
        machine_page(viewer_client, plant.machine)
    for number in range(4):
        sensor = make_sensor(plant.machine, f"pump-7/extra-{number}")
        foretell(plant, sensor=sensor, limit=make_limit(sensor, value=9, failure_mode=plant.failure_mode))

    with django_assert_num_queries(len(few.captured_queries)):
        machine_page(viewer_client, plant.machine)
