"""What came with a key: added up from receipts, drawn, and shown to the organisation's managers alone."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from sensors.models import KeyAllowance, ReadingBatch, RefusedRequests
from sensors.plots.usage import describe_rates, plot_rates
from sensors.services import usage
from sensors.services.metering import charge
from sensors.services.usage import (
    WINDOWS,
    TooMuchToRead,
    newest_batch_at,
    read_lag,
    read_overview,
    read_rates,
    read_refused_readings,
    read_refused_requests,
)
from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Scope
from smartmaint.accounts.services import disable_api_key, issue_api_key

NOON = datetime(2026, 11, 20, 12, 30, 20, tzinfo=UTC)

pytestmark = pytest.mark.django_db


@pytest.fixture
def api_key(ingest_key) -> ApiKey:
    return ingest_key[0]


@pytest.fixture
def foreign_key(other_organization) -> ApiKey:
    return issue_api_key(organization=other_organization, name="alien gateway", scopes=[Scope.INGEST])[0]


def receive(
    api_key: ApiKey,
    *,
    ago: timedelta = timedelta(seconds=1),
    lag_s: float | None = None,
    refused: dict[str, int] | None = None,
    **counts: object,
) -> ReadingBatch:
    """One request's receipt; its readings are the sum of `counts`, three new ones if there are none."""
    outcomes = {
        "inserted": 0,
        "updated": 0,
        "unchanged": 0,
        "held": 0,
        "rejected": sum((refused or {}).values()),
    }
    outcomes |= {name: counts.pop(name) for name in list(counts) if name in outcomes}
    if not any(outcomes.values()):
        outcomes["inserted"] = 3
    received_at = clock.now() - ago
    return ReadingBatch.objects.create(
        organization=api_key.organization,
        api_key=api_key,
        received_at=received_at,
        received=sum(outcomes.values()),
        newest_at=None if lag_s is None else received_at - timedelta(seconds=lag_s),
        refused_by_code=refused or {},
        **outcomes,
        **{"format": "JSON"} | counts,
    )


def refuse(api_key: ApiKey, code: str, *, hours_ago: int = 0, count: int = 1) -> None:
    hour = clock.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours_ago)
    RefusedRequests.objects.create(
        organization=api_key.organization, api_key=api_key, hour=hour, code=code, count=count
    )


class TestRates:
    def test_each_request_falls_into_its_minute(self, api_key):
        with clock.frozen(NOON):
            receive(api_key, ago=timedelta(seconds=5))
            receive(api_key, ago=timedelta(seconds=20))
            receive(api_key, ago=timedelta(seconds=21), inserted=7)
            receive(api_key, ago=timedelta(minutes=59, seconds=20))
            receive(api_key, ago=timedelta(minutes=59, seconds=21))
            rates = read_rates(api_key, window=WINDOWS["hour"])
        assert (rates.begin, len(rates.requests)) == (datetime(2026, 11, 20, 11, 31, tzinfo=UTC), 60)
        assert {n: int(c) for n, c in enumerate(rates.requests) if c} == {0: 1, 58: 1, 59: 2}
        assert rates.readings["inserted"][[0, 58, 59]].tolist() == [3, 7, 6]
        assert rates.refused is None

    @pytest.mark.parametrize(("name", "hours"), [("day", 24), ("week", 168)])
    def test_longer_times_are_cut_into_hours_with_the_requests_that_were_refused(self, api_key, name, hours):
        with clock.frozen(NOON):
            receive(api_key, ago=timedelta(hours=1))
            receive(api_key, ago=timedelta(hours=hours - 1, minutes=30))
            receive(api_key, ago=timedelta(hours=hours))
            refuse(api_key, "malformed", hours_ago=1, count=2)
            refuse(api_key, "rate_limited", hours_ago=1, count=3)
            refuse(api_key, "rate_limited", hours_ago=hours, count=100)
            rates = read_rates(api_key, window=WINDOWS[name])
        assert {n: int(c) for n, c in enumerate(rates.requests) if c} == {0: 1, hours - 2: 1}
        assert {n: int(c) for n, c in enumerate(rates.refused) if c} == {hours - 2: 5}

    def test_readings_are_told_apart_by_what_became_of_them(self, api_key):
        receive(api_key, inserted=5, updated=4, unchanged=3, held=2, refused={"invalid_value": 1})
        receive(api_key, inserted=10, format="CSV")
        rates = read_rates(api_key, window=WINDOWS["hour"])
        assert {name: int(counts.sum()) for name, counts in rates.readings.items()} == {
            "inserted": 15,
            "updated": 4,
            "unchanged": 3,
            "held": 2,
            "rejected": 1,
        }
        assert (rates.received, rates.formats) == (25, {"JSON": 1, "CSV": 1})

    def test_nothing_of_another_key_is_counted(self, api_key, foreign_key):
        receive(foreign_key, refused={"unknown_sensor": 1}, lag_s=5)
        refuse(foreign_key, "malformed")
        rates = read_rates(api_key, window=WINDOWS["day"])
        assert rates.is_empty
        assert read_refused_readings(api_key, begin=rates.begin, end=rates.end) == []
        assert read_refused_requests(api_key, begin=rates.begin) == []
        assert read_lag(api_key, begin=rates.begin, end=rates.end) is None
        assert newest_batch_at(api_key) is None


class TestRefusals:
    def test_readings_are_added_up_by_code_the_most_frequent_first(self, api_key):
        receive(api_key, refused={"invalid_value": 2, "unknown_sensor": 2})
        receive(api_key, refused={"unit_mismatch": 4, "unknown_sensor": 1})
        receive(api_key, refused={"too_old": 9}, ago=timedelta(hours=2))
        begin, end = clock.now() - timedelta(hours=1), clock.now()
        assert read_refused_readings(api_key, begin=begin, end=end) == [
            ("unit_mismatch", 4),
            ("unknown_sensor", 3),
            ("invalid_value", 2),
        ]

    def test_requests_are_counted_from_the_full_hour(self, api_key):
        with clock.frozen(NOON):
            refuse(api_key, "malformed", count=2)
            refuse(api_key, "malformed", hours_ago=1, count=3)
            refuse(api_key, "malformed", hours_ago=2, count=100)
            refuse(api_key, "too_large", count=9)
            found = read_refused_requests(api_key, begin=NOON - timedelta(minutes=59))
        assert found == [("too_large", 9), ("malformed", 5)]


class TestLag:
    def lag(self, api_key):
        return read_lag(api_key, begin=clock.now() - timedelta(hours=1), end=clock.now())

    def test_it_is_the_time_from_the_newest_reading_to_its_arrival(self, api_key):
        for lag_s in range(1, 22):
            receive(api_key, lag_s=lag_s)
        lag = self.lag(api_key)
        assert (lag.median_s, lag.p95_s, lag.longest_s) == (11, 20, 21)

    def test_what_was_sent_as_historical_does_not_count(self, api_key):
        receive(api_key, lag_s=2)
        receive(api_key, lag_s=86_400, is_historical=True)
        assert self.lag(api_key).longest_s == 2

    def test_a_fast_clock_shows_below_zero(self, api_key):
        receive(api_key, lag_s=-90)
        assert self.lag(api_key).median_s == -90

    def test_requests_without_a_stored_reading_have_none(self, api_key):
        receive(api_key, refused={"unknown_sensor": 3})
        assert self.lag(api_key) is None


class TestOverview:
    def test_the_main_figures_of_several_keys_come_in_one_statement(self, api_key, foreign_key):
        receive(api_key, lag_s=4, inserted=8, refused={"invalid_value": 2})
        receive(api_key, ago=timedelta(hours=25))
        old = receive(foreign_key, ago=timedelta(days=3))
        with CaptureQueriesContext(connection) as queries:
            figures = read_overview([api_key.pk, foreign_key.pk])
        assert sum("sensors_readingbatch" in query["sql"] for query in queries) == 1
        own = figures[api_key.pk]
        assert (own.requests, own.readings, own.rejected, own.lag_s) == (1, 10, 2, 4)
        other = figures[foreign_key.pk]
        assert (other.last_at, other.requests, other.readings, other.lag_s) == (old.received_at, 0, 0, None)

    def test_of_no_key_there_is_nothing(self):
        assert read_overview([]) == {}


@pytest.mark.django_db(transaction=True)
def test_what_takes_too_long_is_given_up(api_key, monkeypatch):
    monkeypatch.setattr(usage, "_NEWEST", "SELECT pg_sleep(%(key)s * 0 + 60)")
    monkeypatch.setattr(usage, "LONGEST_READ_S", 0.01)
    with pytest.raises(TooMuchToRead):
        newest_batch_at(api_key)


class TestPlots:
    def test_a_plot_shows_what_there_is(self, api_key):
        receive(api_key, inserted=3, refused={"unknown_sensor": 2})
        rates = read_rates(api_key, window=WINDOWS["day"])
        readings = plot_rates(rates, api_key, quantity="readings")
        assert [item.label.value for item in readings.legend[0].items] == ["stored", "rejected"]
        assert readings.y_range.start == 0
        requests = plot_rates(rates, api_key, quantity="requests")
        assert [item.label.value for item in requests.legend[0].items] == ["taken"]

    def test_the_words_tell_the_same(self, api_key):
        rates = read_rates(api_key, window=WINDOWS["hour"])
        assert describe_rates(rates, quantity="readings") == "Nothing came in the last hour."
        receive(api_key, inserted=1_200)
        rates = read_rates(api_key, window=WINDOWS["hour"])
        assert describe_rates(rates, quantity="readings") == (
            "1,200 readings in the last hour, at most 1,200 in one minute."
        )

    def test_its_address_answers_managers(self, api_key, manager_client):
        address = f"/plots/usage/{api_key.pk}.json"
        assert manager_client.get(address).json() == {
            "plot": None,
            "words": "Nothing came in the last hour.",
        }
        receive(api_key)
        for query in ("", "?window=week&of=requests", "?window=day&of=readings&look=dark"):
            assert manager_client.get(address + query).json()["plot"]["doc"]

    @pytest.mark.parametrize("query", ["?window=year", "?of=money", "?window=", "?window=\x00"])
    def test_a_wrong_question_is_told_so(self, api_key, manager_client, query):
        assert manager_client.get(f"/plots/usage/{api_key.pk}.json{query}").status_code == 400

    def test_nobody_else_gets_it(self, api_key, viewer_client, technician_client, outsider_client, client):
        address = f"/plots/usage/{api_key.pk}.json"
        assert viewer_client.get(address).status_code == 403
        assert technician_client.get(address).status_code == 403
        assert outsider_client.get(address).status_code == 404
        assert client.get(address).status_code == 302


class TestPages:
    def page(self, client, api_key, query: str = "") -> str:
        response = client.get(f"/admin/sensors/keyusage/{api_key.pk}/change/{query}")
        assert response.status_code == 200
        return " ".join(response.content.decode().split())

    def test_a_key_without_readings_says_so(self, api_key, manager_client):
        page = self.page(manager_client, api_key)
        assert page.count("no data") == 4
        assert "never" in page

    def test_a_key_shows_what_came_with_it(self, api_key, manager_client):
        receive(api_key, inserted=6, lag_s=90, refused={"unit_mismatch": 2}, format="SenML")
        refuse(api_key, "rate_limited", count=41)
        page = self.page(manager_client, api_key, "?window=week")
        for words in ("6 (75.0%)", "2 (25.0%)", "SenML (1)", "unit_mismatch", "90.0 s", "rate_limited", "41"):
            assert words in page, words

    def test_a_key_shows_its_limits_and_what_is_used_of_them(self, api_key, manager_client):
        KeyAllowance.objects.create(
            organization=api_key.organization, api_key=api_key, requests_per_s=0.01, readings_per_s=1_500
        )
        charge(api_key, readings=1)
        page = self.page(manager_client, api_key)
        assert "0.01" in page
        assert "1,500" in page
        assert "100%" in page

    def test_an_unknown_window_is_the_last_hour(self, api_key, manager_client):
        assert "What came in the last hour" in self.page(manager_client, api_key, "?window=century")

    @pytest.mark.django_db(transaction=True)
    def test_too_much_to_add_up_is_told_and_the_rest_is_shown(self, api_key, manager_client, monkeypatch):
        monkeypatch.setattr(usage, "_RATES", "SELECT pg_sleep(%(key)s * 0 + 60)")
        monkeypatch.setattr(usage, "LONGEST_READ_S", 0.01)
        page = self.page(manager_client, api_key)
        assert "Choose a shorter time" in page
        assert "Its limits" in page

    def test_the_list_shows_the_main_figures_of_all_keys(self, api_key, organization, manager_client):
        disabled, _ = issue_api_key(organization=organization, name="old script", scopes=[Scope.INGEST])
        disable_api_key(api_key=disabled)
        receive(api_key, inserted=1_999, refused={"unknown_sensor": 1}, lag_s=0.25)
        page = manager_client.get("/admin/sensors/keyusage/").content.decode()
        for words in ("gateway", "old script", "disabled", "2,000", "1 (0.1%)", "250 ms", "no data"):
            assert words in page, words

    @pytest.mark.django_db(transaction=True)
    def test_the_list_says_when_it_took_too_long(self, api_key, manager_client, monkeypatch):
        receive(api_key)
        slow = "SELECT unnest(%(keys)s::bigint[]), NULL, 0, 0, 0, pg_sleep(60), %(begin)s"
        monkeypatch.setattr(usage, "_OVERVIEW", slow)
        monkeypatch.setattr(usage, "LONGEST_READ_S", 0.01)
        page = manager_client.get("/admin/sensors/keyusage/").content.decode()
        assert page.count("took too long") == 5
        assert "It would take longer than 0.01 s to add this up." in page
        assert "no data" not in page

    def test_only_managers_of_the_organisation_see_it(
        self, api_key, viewer_client, technician_client, outsider_client, org_admin_client
    ):
        address = f"/admin/sensors/keyusage/{api_key.pk}/change/"
        assert org_admin_client.get(address).status_code == 200
        assert viewer_client.get(address).status_code == 403
        assert technician_client.get(address).status_code == 403
        assert outsider_client.get(address).status_code == 404
        assert "gateway" not in outsider_client.get("/admin/sensors/keyusage/").content.decode()

    def test_nothing_is_changed_there(self, api_key, org_admin_client):
        org_admin_client.post(f"/admin/sensors/keyusage/{api_key.pk}/change/", {"name": "mine"})
        api_key.refresh_from_db()
        assert api_key.name == "gateway"
        assert org_admin_client.get("/admin/sensors/keyusage/add/").status_code == 403
        assert org_admin_client.get(f"/admin/sensors/keyusage/{api_key.pk}/delete/").status_code == 403

    def test_the_operator_sees_the_keys_of_all(self, api_key, foreign_key, operator_client):
        page = operator_client.get("/admin/sensors/keyusage/").content.decode()
        assert "alien gateway" in page
        self.page(operator_client, foreign_key)


class TestAllowances:
    LIST = "/admin/sensors/keyallowance/"

    def test_an_admin_sets_changes_and_takes_them_away(self, api_key, org_admin_client):
        form = {"api_key": api_key.pk, "requests_per_s": "5", "readings_per_s": ""}
        assert org_admin_client.post(f"{self.LIST}add/", form).status_code == 302
        allowance = KeyAllowance.objects.get()
        assert (allowance.organization, allowance.api_key) == (api_key.organization, api_key)
        assert (allowance.requests_per_s, allowance.readings_per_s) == (5, None)
        assert "as usual, 200,000" in org_admin_client.get(self.LIST).content.decode()
        org_admin_client.post(f"{self.LIST}{allowance.pk}/change/", {"readings_per_s": "1000"})
        allowance.refresh_from_db()
        assert (allowance.requests_per_s, allowance.readings_per_s) == (None, 1000)
        org_admin_client.post(f"{self.LIST}{allowance.pk}/delete/", {"post": "yes"})
        assert not KeyAllowance.objects.exists()
        assert KeyAllowance.history.count() == 3

    @pytest.mark.parametrize("wrong", ["0", "-1", "nan", "inf", "many", "1e999"])
    def test_a_limit_is_a_number_above_zero(self, api_key, org_admin_client, wrong):
        form = {"api_key": api_key.pk, "requests_per_s": wrong}
        assert org_admin_client.post(f"{self.LIST}add/", form).status_code == 200
        assert not KeyAllowance.objects.exists()

    def test_a_key_has_one_allowance(self, api_key, org_admin_client):
        form = {"api_key": api_key.pk, "requests_per_s": "5"}
        assert org_admin_client.post(f"{self.LIST}add/", form).status_code == 302
        assert org_admin_client.post(f"{self.LIST}add/", form).status_code == 200
        assert KeyAllowance.objects.count() == 1

    def test_a_foreign_key_gets_none(self, foreign_key, org_admin_client):
        form = {"api_key": foreign_key.pk, "requests_per_s": "5"}
        assert org_admin_client.post(f"{self.LIST}add/", form).status_code == 200
        assert not KeyAllowance.objects.exists()

    def test_managers_look_at_what_came_and_do_not_set_limits(self, api_key, manager_client):
        assert manager_client.get(self.LIST).status_code == 403
        page = manager_client.get(f"/admin/sensors/keyusage/{api_key.pk}/change/").content.decode()
        assert "Change its limits" not in page

    def test_the_page_of_what_came_leads_an_admin_to_the_limits(self, api_key, org_admin_client):
        page = f"/admin/sensors/keyusage/{api_key.pk}/change/"
        add = f"{self.LIST}add/?api_key={api_key.pk}"
        assert add in org_admin_client.get(page).content.decode()
        assert f'<option value="{api_key.pk}" selected' in org_admin_client.get(add).content.decode()
        allowance = KeyAllowance.objects.create(
            organization=api_key.organization, api_key=api_key, requests_per_s=1
        )
        assert f"{self.LIST}{allowance.pk}/change/" in org_admin_client.get(page).content.decode()

    def test_keys_own_pages_lead_to_what_came(self, api_key, org_admin_client):
        for page in ("/admin/accounts/apikey/", f"/admin/accounts/apikey/{api_key.pk}/change/"):
            answer = org_admin_client.get(page).content.decode()
            assert f"/admin/sensors/keyusage/{api_key.pk}/change/" in answer


class TestWhoMayAllowHowMuch:
    """An organisation's admin lowers limits; more than the usual is the operator's to give."""

    ADD = "/admin/sensors/keyallowance/add/"

    @pytest.fixture(autouse=True)
    def usual(self, settings) -> None:
        settings.INGEST_REQUESTS_PER_S, settings.INGEST_READINGS_PER_S = 100, 0

    def fill_in(self, client, api_key, requests: object, readings: object = "") -> str:
        allowance = KeyAllowance.objects.filter(api_key=api_key).first()
        address = f"/admin/sensors/keyallowance/{allowance.pk}/change/" if allowance else self.ADD
        told = {"api_key": api_key.pk, "requests_per_s": requests, "readings_per_s": readings}
        return client.post(address, told, follow=True).content.decode()

    def rates(self) -> tuple[float | None, float | None]:
        return KeyAllowance.objects.values_list("requests_per_s", "readings_per_s").get()

    def test_an_admin_may_give_what_is_usual_or_less(self, api_key, org_admin_client):
        self.fill_in(org_admin_client, api_key, 100)
        assert self.rates() == (100, None)
        self.fill_in(org_admin_client, api_key, 7)
        assert self.rates() == (7, None)

    def test_an_admin_may_not_give_more(self, api_key, org_admin_client):
        page = self.fill_in(org_admin_client, api_key, 101)
        assert "At most 100: more is the operator&#x27;s to give." in page
        assert not KeyAllowance.objects.exists()

    def test_where_nothing_is_usual_any_number_is(self, api_key, org_admin_client):
        self.fill_in(org_admin_client, api_key, "", 10_000_000)
        assert self.rates() == (None, 10_000_000)

    def test_the_operator_may_and_an_admin_may_keep_or_lower_it(
        self, api_key, organization, operator_client, org_admin_client
    ):
        operator_client.post("/switch-organization/", {"organization": organization.pk})
        self.fill_in(operator_client, api_key, 5_000)
        assert self.rates() == (5_000, None)
        self.fill_in(org_admin_client, api_key, 5_000, 3)
        assert self.rates() == (5_000, 3)
        self.fill_in(org_admin_client, api_key, 400)
        assert "At most 400" in self.fill_in(org_admin_client, api_key, 5_000)
        assert self.rates() == (400, None)

    def test_an_earlier_version_does_not_bring_it_back(self, api_key, org_admin_client):
        allowance = KeyAllowance.objects.create(
            organization=api_key.organization, api_key=api_key, requests_per_s=5_000
        )
        earlier = allowance.history.get()
        self.fill_in(org_admin_client, api_key, 50)
        address = f"/admin/sensors/keyallowance/{allowance.pk}/history/{earlier.pk}/"
        org_admin_client.post(address, {"requests_per_s": 5_000, "readings_per_s": ""})
        assert self.rates() == (50, None)
