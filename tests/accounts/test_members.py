"""Organisations and their people."""

import pytest
from django.core.exceptions import ValidationError

from smartmaint.accounts.models import Membership, Organization, Role, User
from smartmaint.accounts.services import (
    add_member,
    create_organization,
    deactivate_member,
    reactivate_member,
    reset_password,
    set_role,
)
from smartmaint.accounts.signals import organization_created


def test_a_new_organisation_is_announced_inside_its_transaction(db):
    def refuse(sender, organization, **kwargs):
        raise RuntimeError(organization.name)

    organization_created.connect(refuse)
    try:
        with pytest.raises(RuntimeError, match="Acme"):
            create_organization(name="Acme", time_zone="UTC")
    finally:
        organization_created.disconnect(refuse)
    assert not Organization.objects.filter(name="Acme").exists()


def test_slugs_are_made_from_names_and_stay_unique(db):
    names = ["Acme Ltd", "Acme Ltd.", "東京"]
    slugs = [create_organization(name=name, time_zone="UTC").slug for name in names]
    assert slugs == ["acme-ltd", "acme-ltd-2", "organisation"]


@pytest.mark.parametrize("wrong", [{"time_zone": "Mars/Base"}, {"name": ""}, {"slug": "no spaces"}])
def test_an_organisation_needs_a_name_and_a_real_zone(db, wrong):
    with pytest.raises(ValidationError):
        create_organization(**{"name": "Acme", "time_zone": "UTC", **wrong})


def test_a_new_member_can_log_in_with_the_first_password(organization):
    membership = add_member(
        organization=organization, role=Role.TECHNICIAN, username="ines", password="long enough 1"
    )
    assert (membership.user.check_password("long enough 1"), membership.role) == (True, "technician")


@pytest.mark.parametrize("password", ["short", "password123", "ines-ines-ines"])
def test_a_weak_first_password_is_refused_and_leaves_nobody_behind(organization, password):
    with pytest.raises(ValidationError):
        add_member(organization=organization, role=Role.VIEWER, username="ines-ines-ines", password=password)
    assert not User.objects.filter(username="ines-ines-ines").exists()


def test_a_username_is_taken_once_over_all_organisations(manager, other_organization):
    with pytest.raises(ValidationError):
        add_member(organization=other_organization, role=Role.VIEWER, username="mina")


def test_a_person_has_one_place_in_an_organisation(organization, manager):
    with pytest.raises(ValidationError):
        add_member(organization=organization, role=Role.ADMIN, user=manager)


def test_the_last_admin_can_neither_be_demoted_nor_shut_out(admin_user_of_org, organization):
    last = admin_user_of_org.memberships.get()
    with pytest.raises(ValidationError):
        set_role(membership=last, role=Role.MANAGER)
    with pytest.raises(ValidationError):
        deactivate_member(membership=last)
    second = add_member(organization=organization, role=Role.ADMIN, username="bea")
    assert set_role(membership=last, role=Role.MANAGER).role == Role.MANAGER
    with pytest.raises(ValidationError):
        deactivate_member(membership=second)


def test_a_member_who_is_shut_out_can_come_back(membership):
    deactivate_member(membership=membership)
    assert not Membership.objects.active().filter(pk=membership.pk).exists()
    reactivate_member(membership=membership)
    assert Membership.objects.active().filter(pk=membership.pk).exists()


def test_an_admin_resets_the_password_of_a_member_of_this_organisation_only(membership):
    reset_password(membership=membership, new_password="a brand new one")
    assert User.objects.get(pk=membership.user_id).check_password("a brand new one")


def test_a_weak_new_password_is_refused(membership):
    with pytest.raises(ValidationError):
        reset_password(membership=membership, new_password="1234567890")


@pytest.mark.parametrize("is_active", [True, False])
def test_nobody_takes_over_a_person_who_belongs_elsewhere_too(membership, other_organization, is_active):
    elsewhere = add_member(organization=other_organization, role=Role.VIEWER, user=membership.user)
    elsewhere.is_active = is_active
    elsewhere.save()
    with pytest.raises(ValidationError, match="not yours to set"):
        reset_password(membership=membership, new_password="a brand new one")


def test_nobody_takes_over_an_operator(operator, organization):
    membership = add_member(organization=organization, role=Role.VIEWER, user=operator)
    with pytest.raises(ValidationError, match="not yours to set"):
        reset_password(membership=membership, new_password="a brand new one")
