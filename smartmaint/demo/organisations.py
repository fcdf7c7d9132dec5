"""From a plan to an organisation's rows: people, sites, machines, sensors, limits and jobs, through the services."""

from django.db import transaction

from equipment.models import Equipment, EquipmentClass, FailureMode, Site
from maintenance.models import (
    Certificate,
    MaintenancePolicy,
    Shift,
    Skill,
    StandardJob,
    StandardJobSkill,
    Technician,
)
from sensors.models import Limit, Sensor
from smartmaint.accounts.models import Organization, Role, User
from smartmaint.accounts.services import add_member, create_organization
from smartmaint.demo.blueprint import (
    MachinePlan,
    OrganisationPlan,
    SensorPlan,
    StandardJobPlan,
    TechnicianPlan,
)


@transaction.atomic
def build_organization(plan: OrganisationPlan, *, password: str) -> Organization:
    """Make all that stands still; inactive until the history is there too. Raises ValidationError."""
    organization = create_organization(name=plan.name, slug=plan.slug, time_zone=plan.zone.key)
    organization.is_active = False
    organization.save(update_fields=["is_active"])
    _adopt_policy(organization)
    _Builder(organization, password).build(plan)
    return organization


def _adopt_policy(organization: Organization) -> None:
    """Tasks without waiting for a manager, and again right after one was closed: a demo is told many times."""
    policy = MaintenancePolicy.objects.for_organization(organization).get()
    policy.approval = MaintenancePolicy.Approval.AUTOMATIC
    policy.daily_budget, policy.cooldown_hours = 20, 0
    policy.full_clean()
    policy.save()


class _Builder:
    """The rows of one organisation, found again by the plan's names."""

    def __init__(self, organization: Organization, password: str) -> None:
        self.organization = organization
        self.password = password
        self.classes = {one.code: one for one in EquipmentClass.objects.for_organization(organization)}
        self.sites: dict[str, Site] = {}
        self.skills: dict[str, Skill] = {}
        self.equipment: dict[str, Equipment] = {}

    def build(self, plan: OrganisationPlan) -> None:
        for name, address in plan.sites:
            self.sites[name] = Site.objects.create(organization=self.organization, name=name, address=address)
        for person in plan.people:
            self._add_person(person.username, person.name, Role(person.role))
        for technician in plan.technicians:
            self._add_technician(technician)
        for job in plan.standard_jobs:
            self._add_standard_job(job)
        for machine in plan.machines:
            self._add_machine(machine)

    def _add_person(self, username: str, name: str, role: Role) -> User:
        first_name, _, last_name = name.partition(" ")
        return add_member(
            organization=self.organization,
            role=role,
            username=username,
            first_name=first_name,
            last_name=last_name,
            password=self.password,
        ).user

    def _add_technician(self, plan: TechnicianPlan) -> None:
        only_site = next(iter(plan.sites)) if len(plan.sites) == 1 else None
        technician = Technician.objects.create(
            organization=self.organization,
            user=self._add_person(plan.username, plan.name, Role.TECHNICIAN),
            home_site=self.sites[only_site] if only_site else None,
        )
        for skill in sorted(plan.skills):
            Certificate.objects.create(
                organization=self.organization, technician=technician, skill=self._skill(skill)
            )
        Shift.objects.bulk_create(
            Shift(
                organization=self.organization,
                technician=technician,
                weekday=shift.weekday,
                starts_at=shift.start,
                ends_at=shift.end,
            )
            for shift in plan.shifts
        )

    def _skill(self, name: str) -> Skill:
        if name not in self.skills:
            self.skills[name] = Skill.objects.create(organization=self.organization, name=name)
        return self.skills[name]

    def _add_standard_job(self, plan: StandardJobPlan) -> None:
        equipment_class = self.classes[plan.equipment_class] if plan.equipment_class else None
        job = StandardJob(
            organization=self.organization,
            title=plan.title,
            failure_mode=self._failure_mode(plan.failure_mode, equipment_class),
            duration_minutes=plan.duration_s // 60,
        )
        job.full_clean()
        job.save()
        for name in sorted(plan.skills):
            StandardJobSkill.objects.create(
                organization=self.organization, standard_job=job, skill=self._skill(name)
            )

    def _failure_mode(self, code: str, equipment_class: EquipmentClass | None) -> FailureMode:
        modes = FailureMode.objects.for_organization(self.organization).of_class(equipment_class)
        return modes.get(code=code)

    def _add_machine(self, plan: MachinePlan) -> None:
        machine = Equipment(
            organization=self.organization,
            site=self.sites[plan.site],
            parent=self.equipment[plan.parent] if plan.parent else None,
            tag=plan.tag,
            name=plan.name,
            equipment_class=self.classes[plan.equipment_class],
            criticality=plan.criticality,
            manufacturer=plan.maker,
            model=plan.model,
            serial_number=plan.serial_number,
        )
        machine.full_clean()
        machine.save()
        self.equipment[plan.tag] = machine
        for sensor in plan.sensors:
            self._add_sensor(machine, sensor)

    def _add_sensor(self, machine: Equipment, plan: SensorPlan) -> None:
        sensor = Sensor(
            organization=self.organization,
            equipment=machine,
            key=plan.key,
            name=plan.name,
            quantity=plan.quantity,
            unit=plan.unit,
            physical_min=plan.physical_min,
            physical_max=plan.physical_max,
            expected_interval_s=plan.expected_interval_s,
        )
        sensor.full_clean()
        sensor.save()
        for limit in plan.limits:
            row = Limit(
                organization=self.organization,
                sensor=sensor,
                level=limit.level,
                value=limit.value,
                dead_band=limit.dead_band,
                on_delay_s=limit.on_delay_s,
                failure_mode=self._failure_mode(limit.failure_mode, machine.equipment_class),
            )
            row.full_clean()
            row.save()
