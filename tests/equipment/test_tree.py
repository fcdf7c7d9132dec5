"""The tree of equipment: the way up, and no circles."""

import threading

import pytest
from django.db import IntegrityError, connection, transaction

from equipment.models import Equipment
from tests.plants import make_plant

pytestmark = pytest.mark.django_db


def machines_of(organization, count: int) -> list[Equipment]:
    """Machines side by side."""
    first = make_plant(organization).machine
    return [
        first,
        *(
            Equipment.objects.create(
                organization=organization,
                site=first.site,
                tag=f"M-{number}",
                name="Motor",
                equipment_class=first.equipment_class,
            )
            for number in range(1, count)
        ),
    ]


def put_below(machine: Equipment, parent: Equipment) -> None:
    Equipment.objects.filter(pk=machine.pk).update(parent=parent)


def test_the_way_up_is_one_query_the_top_first(organization, django_assert_num_queries):
    top, middle, low, lowest = machines_of(organization, 4)
    for machine, parent in ((middle, top), (low, middle), (lowest, low)):
        put_below(machine, parent)
    lowest.refresh_from_db()

    with django_assert_num_queries(1):
        assert lowest.ancestors() == [top, middle, low]


def test_a_machine_that_stands_alone_has_nothing_above(organization):
    assert make_plant(organization).machine.ancestors() == []


def test_the_database_refuses_a_circle(organization):
    top, middle, low = machines_of(organization, 3)
    put_below(middle, top)
    put_below(low, middle)

    with pytest.raises(IntegrityError, match="a tree has no circles"), transaction.atomic():
        put_below(top, low)
    put_below(low, top)

    assert Equipment.objects.get(pk=low.pk).ancestors() == [top]


@pytest.mark.django_db(transaction=True)
def test_two_managers_at_once_cannot_close_a_circle(organization):
    first, second = machines_of(organization, 2)
    moved, results = threading.Event(), []

    def move() -> None:
        try:
            moved.wait()
            put_below(second, first)
            results.append("moved")
        except IntegrityError as error:
            results.append(error.__cause__.diag.constraint_name)
        finally:
            connection.close()

    other = threading.Thread(target=move)
    other.start()
    with transaction.atomic():
        put_below(first, second)
        moved.set()
        other.join(timeout=0.3)
        assert other.is_alive()
    other.join()

    assert results == ["equipment_no_circle"]
