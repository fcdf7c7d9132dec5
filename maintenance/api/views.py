from django.db.models import QuerySet
from django.http import HttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework.generics import GenericAPIView, ListAPIView, RetrieveAPIView
from rest_framework.request import Request
from rest_framework.response import Response

from equipment.models import Verdict
from maintenance.api.serializers import FindingBody, LogSerializer, TaskSerializer
from maintenance.models import MaintenanceTask
from maintenance.services.completing import Finding, complete_task
from maintenance.services.tasks import Actor, NotAllowed, TaskRefused, start_task
from smartmaint.accounts.access import organization_of
from smartmaint.accounts.models import Role, Scope
from smartmaint.problems import problem


class TaskQueries:
    serializer_class = TaskSerializer

    def get_queryset(self) -> QuerySet[MaintenanceTask]:
        if getattr(self, "swagger_fake_view", False):
            return MaintenanceTask.objects.none()
        return (
            MaintenanceTask.objects.for_organization(organization_of(self.request))
            .select_related("organization", "equipment__equipment_class", "failure_mode", "technician__user")
            .prefetch_related("bookings")
        )


@extend_schema(tags=["tasks"])
class TaskList(TaskQueries, ListAPIView):
    """Tasks, newest first."""

    required_scope, required_role = Scope.READ, Role.VIEWER


@extend_schema(tags=["tasks"])
class TaskDetail(TaskQueries, RetrieveAPIView):
    required_scope, required_role = Scope.READ, Role.VIEWER


class TaskVerb(TaskQueries, GenericAPIView):
    """Something that a logged-in technician does with a task; 409 where its status forbids it."""

    required_role = Role.TECHNICIAN

    def post(self, request: Request, pk: int) -> HttpResponse:
        task = get_object_or_404(self.get_queryset(), pk=pk)
        actor = Actor.of(request.user, request.membership)
        try:
            return self.act(request, task, actor)
        except NotAllowed as error:
            return problem(403, "not_your_task", str(error))
        except TaskRefused as error:
            return problem(409, "task_refused", str(error))


@extend_schema(tags=["tasks"], request=None, responses=TaskSerializer)
class StartTask(TaskVerb):
    """Begin a task, or go on after a hold."""

    def act(self, request: Request, task: MaintenanceTask, actor: Actor) -> HttpResponse:
        start_task(task=task, actor=actor)
        return Response(TaskSerializer(self.get_queryset().get(pk=task.pk)).data)


@extend_schema(tags=["tasks"], request=FindingBody, responses={201: LogSerializer})
class CompleteTask(TaskVerb):
    """Close a task with what was found."""

    def act(self, request: Request, task: MaintenanceTask, actor: Actor) -> HttpResponse:
        body = FindingBody(data=request.data, context={"task": task})
        body.is_valid(raise_exception=True)
        told = dict(body.validated_data)
        finding = Finding(
            verdict=Verdict(told.pop("verdict")),
            failure_mode=told.pop("failure_mode", task.failure_mode),
            **told,
        )
        log = complete_task(task=task, actor=actor, finding=finding)
        return Response(LogSerializer(log).data, status=201)
