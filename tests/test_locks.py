"""Locks that at most so many processes hold at a time, each with a connection of its own."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from smartmaint.locks import one_of_locks


def is_free(name: str, places: int) -> bool:
    """As another process finds it."""

    def ask() -> bool:
        try:
            with one_of_locks(name, places) as may:
                return may
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as other:
        return other.submit(ask).result()


@pytest.mark.django_db
def test_behind_a_pooler_by_transaction_no_lock_is_taken(settings):
    settings.PREPARED_STATEMENTS = False
    with pytest.raises(ImproperlyConfigured, match="connection of their own"), one_of_locks("forecasts", 1):
        raise AssertionError


@pytest.mark.django_db(transaction=True)
def test_as_many_hold_a_lock_as_there_are_places_and_no_more():
    with one_of_locks("forecasts", 1) as first:
        assert first
        assert not is_free("forecasts", 1)
        assert is_free("forecasts", 2)
        assert is_free("plans", 1)
    assert is_free("forecasts", 1)


@pytest.mark.django_db(transaction=True)
def test_a_place_is_free_again_after_an_error():
    with pytest.raises(RuntimeError), one_of_locks("forecasts", 1):
        raise RuntimeError("the agent failed")
    assert is_free("forecasts", 1)
