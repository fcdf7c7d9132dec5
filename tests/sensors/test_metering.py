"""Limits per key: what passes, what is refused, what it costs, and what the sender is told."""

import threading
from collections.abc import Callable

import pytest
from django.db import connection, connections
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from sensors.models import KeyAllowance, KeyMeter, RefusedRequests
from sensors.services import metering
from sensors.services.metering import (
    OverLimit,
    Quota,
    charge,
    copy_allowance,
    count_refused_request,
    read_quotas,
    require_room,
)
from smartmaint.accounts.models import ApiKey, Scope
from smartmaint.accounts.services import issue_api_key

# So slow that nothing is paid off while a test runs.
A_DAY = 86_400


@pytest.fixture(autouse=True)
def nothing_remembered():
    """What a process knows of exhausted keys outlives a test."""
    metering._exhausted.clear()


@pytest.fixture
def api_key(ingest_key) -> ApiKey:
    return ingest_key[0]


@pytest.fixture
def limits(settings) -> Callable[..., None]:
    """Set the usual limits as numbers that pass in a burst of a day; 0 is no limit."""

    def set_limits(*, requests: float = 0, readings: float = 0) -> None:
        settings.INGEST_BURST_S = A_DAY
        settings.INGEST_REQUESTS_PER_S, settings.INGEST_READINGS_PER_S = requests / A_DAY, readings / A_DAY

    return set_limits


def passes(api_key: ApiKey, readings: int = 1) -> bool:
    try:
        charge(api_key, readings=readings)
    except OverLimit:
        return False
    return True


def allow(api_key: ApiKey, **rates: float | None) -> KeyAllowance:
    return KeyAllowance.objects.create(organization=api_key.organization, api_key=api_key, **rates)


@pytest.mark.django_db
class TestCharging:
    def test_as_many_requests_pass_as_the_limit_allows(self, api_key, limits):
        limits(requests=3)
        assert [passes(api_key) for _ in range(5)] == [True, True, True, False, False]

    def test_readings_count_one_by_one(self, api_key, limits):
        limits(readings=1_000)
        assert [passes(api_key, n) for n in (600, 500, 400, 1)] == [True, False, True, False]

    def test_a_refused_request_costs_nothing(self, api_key, limits):
        limits(requests=10, readings=100)
        assert passes(api_key, 90)
        before = KeyMeter.objects.get()
        assert not passes(api_key, 11)
        after = KeyMeter.objects.get()
        assert (after.requests_paid_at, after.readings_paid_at) == (
            before.requests_paid_at,
            before.readings_paid_at,
        )
        assert passes(api_key, 10)

    def test_a_request_larger_than_the_whole_burst_passes_when_nothing_is_owed_and_then_pays(
        self, api_key, limits
    ):
        limits(readings=100)
        assert passes(api_key, 1_000)
        assert not passes(api_key, 1)
        [quota] = read_quotas(api_key)
        assert quota.debt_s == pytest.approx(10 * A_DAY, rel=0.001)

    def test_a_request_larger_than_the_whole_burst_waits_while_anything_is_owed(self, api_key, limits):
        limits(readings=100)
        assert passes(api_key, 1)
        with pytest.raises(OverLimit) as refused:
            charge(api_key, readings=101)
        assert refused.value.retry_after_s == pytest.approx(A_DAY / 100, rel=0.01)

    def test_what_was_owed_is_paid_off_by_time(self, api_key, limits):
        limits(requests=2)
        assert [passes(api_key) for _ in range(3)] == [True, True, False]
        KeyMeter.objects.update(requests_paid_at=KeyMeter.objects.get().requests_paid_at - A_DAY / 2)
        assert [passes(api_key) for _ in range(2)] == [True, False]

    def test_nothing_is_saved_up_beyond_the_burst(self, api_key, limits):
        limits(requests=2)
        assert passes(api_key)
        KeyMeter.objects.update(requests_paid_at=0)
        assert [passes(api_key) for _ in range(3)] == [True, True, False]

    def test_a_request_without_readings_is_held_to_the_requests_alone(self, api_key, limits):
        limits(requests=10, readings=5)
        assert passes(api_key, 50)
        assert not passes(api_key, 1)
        assert passes(api_key, 0)

    def test_keys_do_not_pay_for_each_other(self, api_key, organization, limits):
        other, _ = issue_api_key(organization=organization, name="other", scopes=[Scope.INGEST])
        limits(requests=1)
        assert [passes(api_key), passes(api_key), passes(other)] == [True, False, True]

    def test_a_rate_of_less_than_one_in_the_whole_burst_still_lets_one_pass(self, api_key, limits):
        limits(requests=0.1)
        assert [passes(api_key), passes(api_key)] == [True, False]
        [quota] = read_quotas(api_key)
        assert (quota.size, quota.window_s) == (1, 10 * A_DAY)


@pytest.mark.django_db
class TestAllowances:
    def test_an_allowance_stands_in_for_the_usual_limit(self, api_key, limits):
        limits(requests=1)
        allow(api_key, requests_per_s=3 / A_DAY)
        assert [passes(api_key) for _ in range(4)] == [True, True, True, False]

    def test_what_an_allowance_leaves_out_stays_as_usual(self, api_key, limits):
        limits(requests=2)
        allow(api_key, readings_per_s=1_000_000)
        assert [passes(api_key) for _ in range(3)] == [True, True, False]

    def test_an_allowance_holds_where_there_is_no_usual_limit(self, api_key, limits):
        limits()
        allow(api_key, readings_per_s=10 / A_DAY)
        assert [passes(api_key, 10), passes(api_key, 1)] == [True, False]

    def test_a_limit_that_is_taken_away_leaves_no_debt_behind(self, api_key, limits):
        limits()
        allowance = allow(api_key, readings_per_s=10 / A_DAY)
        assert passes(api_key, 1_000)
        allowance.delete()
        assert passes(api_key, 1)

    def test_without_any_limit_nothing_is_written(self, api_key, limits):
        limits()
        assert charge(api_key, readings=10_000).headers == {}
        assert not KeyMeter.objects.exists()

    def test_the_allowance_comes_with_the_charge_in_one_statement(self, api_key, limits):
        limits(requests=1)
        allow(api_key, requests_per_s=5)
        with CaptureQueriesContext(connection) as queries:
            charge(api_key, readings=1)
        assert len(queries) == 1

    def test_a_successor_may_send_as_much(self, api_key, organization):
        allow(api_key, requests_per_s=7, readings_per_s=70)
        successor, _ = issue_api_key(organization=organization, name="next", scopes=[Scope.INGEST])
        copy_allowance(old=api_key, new=successor)
        copy_allowance(old=api_key, new=successor)
        copied = KeyAllowance.objects.get(api_key=successor)
        assert (copied.organization, copied.requests_per_s, copied.readings_per_s) == (organization, 7, 70)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_first", [True, False])
def test_of_many_requests_at_once_exactly_those_pass_that_may(api_key, limits, is_first):
    limits(requests=8, readings=10_000)
    if not is_first:
        KeyMeter.objects.create(api_key=api_key)
    ready, passed = threading.Barrier(20), []

    def post() -> None:
        try:
            ready.wait()
            passed.append(passes(api_key, 100))
        finally:
            connections.close_all()

    threads = [threading.Thread(target=post) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (passed.count(True), passed.count(False)) == (8, 12)
    requests, readings = read_quotas(api_key)
    assert requests.debt_s == pytest.approx(A_DAY, rel=0.001)
    assert readings.debt_s == pytest.approx(0.08 * A_DAY, rel=0.001)


@pytest.mark.django_db
class TestWhatTheSenderIsTold:
    def test_the_headers_of_a_request_that_passed(self, api_key, settings):
        settings.INGEST_REQUESTS_PER_S, settings.INGEST_READINGS_PER_S, settings.INGEST_BURST_S = 2, 100, 10
        assert charge(api_key, readings=500).headers == {
            "RateLimit-Policy": '"requests";q=20;qu="requests";w=10, "readings";q=1000;qu="readings";w=10',
            "RateLimit": '"requests";r=19;t=1, "readings";r=500;t=5',
        }

    def test_the_headers_of_one_that_was_refused(self, api_key, limits):
        limits(readings=100)
        assert passes(api_key, 80)
        with pytest.raises(OverLimit) as refused:
            charge(api_key, readings=60)
        headers, wait_s = refused.value.headers, refused.value.retry_after_s
        assert wait_s == pytest.approx(0.4 * A_DAY, rel=0.001)
        assert headers["Retry-After"] == str(wait_s)
        # Who is told to come back must not find, by the other header, that it was too early.
        assert headers["RateLimit"] == f'"readings";r=20;t={wait_s}'
        assert refused.value.violated == ["readings"]
        assert f"Try again in {wait_s} s" in str(refused.value)

    def test_retry_after_is_a_whole_second_at_least(self, api_key, settings):
        settings.INGEST_REQUESTS_PER_S, settings.INGEST_READINGS_PER_S, settings.INGEST_BURST_S = 0, 1_000, 1
        assert passes(api_key, 1_000)
        with pytest.raises(OverLimit) as refused:
            charge(api_key, readings=1_000)
        assert refused.value.headers["Retry-After"] == "1"

    def test_both_limits_are_named_where_both_are_passed(self, api_key, limits):
        limits(requests=1, readings=10)
        assert passes(api_key, 10)
        with pytest.raises(OverLimit) as refused:
            charge(api_key, readings=10)
        assert refused.value.violated == ["requests", "readings"]


@given(
    per_s=st.floats(0.01, 1e6),
    burst_s=st.floats(0.1, 1e4),
    debt_s=st.floats(-1e6, 1e6),
    units=st.integers(0, 10_000),
)
def test_a_quota_never_tells_more_than_there_is(per_s, burst_s, debt_s, units):
    quota = Quota("readings", per_s, burst_s, debt_s)
    assert 0 <= quota.available <= quota.size
    assert 0 <= quota.used <= 1
    assert quota.window_s >= 1
    if units and units <= quota.available and units <= per_s * burst_s:
        assert quota.wait_s(units) == pytest.approx(0, abs=1e-6)


@pytest.mark.django_db
class TestRememberingWhoIsExhausted:
    def test_a_process_answers_for_an_exhausted_key_without_asking(self, api_key, limits):
        limits(requests=1)
        require_room(api_key)
        assert passes(api_key)
        require_room(api_key)
        assert not passes(api_key)
        with CaptureQueriesContext(connection) as queries, pytest.raises(OverLimit) as refused:
            require_room(api_key)
        assert len(queries) == 0
        assert refused.value.headers["Retry-After"] == str(A_DAY)

    def test_a_key_for_which_a_smaller_request_would_pass_is_not_exhausted(self, api_key, limits):
        limits(readings=100)
        assert passes(api_key, 60)
        assert not passes(api_key, 60)
        require_room(api_key)

    def test_the_database_is_asked_again_after_a_second(self, api_key, limits, monkeypatch):
        limits(requests=1)
        assert [passes(api_key), passes(api_key)] == [True, False]
        until, _ = metering._exhausted[api_key.pk]
        monkeypatch.setattr(metering.time, "monotonic", lambda: until)
        require_room(api_key)
        assert metering._exhausted == {}


@pytest.mark.django_db
class TestCountingRefusedRequests:
    def test_they_are_counted_by_hour_and_code(self, api_key):
        for code in ("malformed", "rate_limited", "rate_limited"):
            count_refused_request(api_key, code)
        counts = RefusedRequests.objects.order_by("code").values_list("organization", "code", "count")
        assert list(counts) == [
            (api_key.organization_id, "malformed", 1),
            (api_key.organization_id, "rate_limited", 2),
        ]
        hour = RefusedRequests.objects.first().hour
        assert (hour.minute, hour.second, hour.microsecond) == (0, 0, 0)


@pytest.mark.django_db(transaction=True)
class TestCountingThatFails:
    def test_a_code_that_is_too_long_is_let_go(self, api_key):
        count_refused_request(api_key, "x" * 41)
        assert not RefusedRequests.objects.exists()

    def test_a_key_that_was_deleted_meanwhile_is_let_go(self, api_key):
        ApiKey.objects.filter(pk=api_key.pk).delete()
        count_refused_request(api_key, "malformed")
        assert not RefusedRequests.objects.exists()

    def test_a_database_that_went_away_is_let_go(self, api_key):
        count_refused_request(api_key, "malformed")
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            [own] = cursor.fetchone()
        killer = connection.copy()
        with killer.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [own])
        killer.close()
        count_refused_request(api_key, "malformed")
        connection.close()
        assert RefusedRequests.objects.get().count == 1


@pytest.mark.django_db(transaction=True)
def test_bodies_that_cannot_be_read_use_up_the_requests_too(client, ingest_key, limits):
    key, secret = ingest_key
    limits(requests=3)

    def send(body: bytes, content_type: str = "application/json") -> int:
        headers = {"X-API-Key": secret}
        return client.post("/api/v1/readings", body, content_type=content_type, headers=headers).status_code

    assert [send(b"{"), send(b"x", "text/html"), send(b"["), send(b"{"), send(b'{"readings": []}')] == [
        400,
        415,
        400,
        429,
        429,
    ]
    counted = dict(RefusedRequests.objects.filter(api_key=key).values_list("code", "count"))
    assert counted == {"malformed": 2, "unsupported_media_type": 1, "rate_limited": 2}


@pytest.mark.django_db(transaction=True)
def test_a_key_that_may_not_post_is_counted(client, organization):
    key, secret = issue_api_key(organization=organization, name="reader", scopes=[Scope.READ])
    response = client.post(
        "/api/v1/readings", b"{}", content_type="application/json", headers={"X-API-Key": secret}
    )
    assert response.status_code == 403
    assert RefusedRequests.objects.get(api_key=key).code == "missing_scope"
