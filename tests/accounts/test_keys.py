"""API keys: made, checked, rotated, disabled."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import ValidationError

from equipment.models import KeyRestriction
from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Scope
from smartmaint.accounts.services import (
    DisabledApiKeyError,
    ExpiredApiKeyError,
    UnknownApiKeyError,
    authenticate_api_key,
    disable_api_key,
    issue_api_key,
    issue_successor,
)
from tests.plants import make_plant

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def test_a_secret_has_160_bits_behind_its_prefix_and_is_not_stored(ingest_key):
    api_key, secret = ingest_key
    assert re.fullmatch(rf"sm_{api_key.prefix}_[0-9a-f]{{40}}", secret)
    stored = ApiKey.objects.filter(pk=api_key.pk).values().get()
    assert secret.rsplit("_", 1)[1] not in str({**stored, "secret_sha256": bytes(stored["secret_sha256"])})


def test_a_genuine_secret_finds_its_key_and_organisation(ingest_key, organization):
    api_key, secret = ingest_key
    found = authenticate_api_key(secret)
    assert (found, found.organization) == (api_key, organization)


@pytest.mark.parametrize("secret", ["", "sm_0000000000_" + "0" * 40, "é\x00"])
def test_an_unknown_secret_is_refused(db, secret):
    with pytest.raises(UnknownApiKeyError):
        authenticate_api_key(secret)


def test_a_key_is_over_at_the_moment_it_expires(organization):
    _, secret = issue_api_key(
        organization=organization, name="short", scopes=[Scope.INGEST], expires_at=NOON + timedelta(hours=1)
    )
    with clock.frozen(NOON + timedelta(minutes=59)):
        authenticate_api_key(secret)
    with clock.frozen(NOON + timedelta(hours=1)), pytest.raises(ExpiredApiKeyError):
        authenticate_api_key(secret)


def test_a_disabled_key_is_refused_as_disabled(ingest_key):
    api_key, secret = ingest_key
    disable_api_key(api_key=api_key)
    with pytest.raises(DisabledApiKeyError):
        authenticate_api_key(secret)


def test_the_key_of_a_closed_organisation_is_refused_as_disabled(ingest_key, organization):
    organization.is_active = False
    organization.save()
    with pytest.raises(DisabledApiKeyError):
        authenticate_api_key(ingest_key[1])


def test_last_use_is_written_at_most_once_a_minute(organization):
    api_key, secret = issue_api_key(organization=organization, name="busy", scopes=[Scope.INGEST])
    for seconds, expected in [(0, 0), (59, 0), (60, 60), (61, 60)]:
        with clock.frozen(NOON + timedelta(seconds=seconds)):
            authenticate_api_key(secret)
        api_key.refresh_from_db()
        assert api_key.last_used_at == NOON + timedelta(seconds=expected)


@pytest.mark.parametrize("wrong", [{"scopes": []}, {"scopes": ["rule"]}, {"time_zone": "Mars/Base"}])
def test_a_key_that_makes_no_sense_is_not_issued(organization, wrong):
    with pytest.raises(ValidationError):
        issue_api_key(**{"organization": organization, "name": "odd", "scopes": [Scope.READ], **wrong})


def test_two_keys_of_one_organisation_cannot_share_a_name(ingest_key, organization):
    with pytest.raises(ValidationError):
        issue_api_key(organization=organization, name="gateway", scopes=[Scope.READ])


def test_a_successor_has_the_same_rights_and_both_work_until_the_old_one_is_disabled(ingest_key):
    api_key, secret = ingest_key
    successor, new_secret = issue_successor(api_key=api_key)
    assert (successor.name, successor.scopes) == ("gateway #2", api_key.scopes)
    assert successor.expires_at > api_key.expires_at
    assert authenticate_api_key(secret) == api_key
    assert authenticate_api_key(new_secret) == successor
    assert issue_successor(api_key=successor)[0].name == "gateway #3"


def test_the_successor_of_a_restricted_key_is_restricted_to_the_same_equipment(ingest_key, organization):
    api_key, _ = ingest_key
    allowed = make_plant(organization).machine
    make_plant(organization, name="fan-4")
    KeyRestriction.objects.create(organization=organization, api_key=api_key, equipment=allowed)
    successor, _ = issue_successor(api_key=api_key)
    assert [restriction.equipment for restriction in successor.restrictions.all()] == [allowed]
    assert api_key.restrictions.count() == 1
