"""POST /api/v1/readings, and what every way of posting readings shares: read, parse, charge, ingest, answer."""

import json as jsonlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, cast
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse, JsonResponse
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema
from rest_framework.exceptions import MethodNotAllowed, NotAuthenticated, PermissionDenied
from rest_framework.views import APIView

from sensors.api.receipts import ReadingsBody, ReceiptBody, receipt_answer
from sensors.api.request_body import RefusedRequest, body_of, format_of
from sensors.ingest.formats import csv, json, ndjson, senml
from sensors.ingest.parsed import MalformedBody, ParsedReadings, TooManyReadings
from sensors.ingest.repeated_hour import resolve_request
from sensors.services import metering
from sensors.services.ingest import Receipt, ingest_readings
from sensors.storage import microseconds
from smartmaint import clock
from smartmaint.accounts.api import CHALLENGE, authenticate_request, require_scope
from smartmaint.accounts.models import ApiKey, Scope
from smartmaint.problems import problem, problem_of

# The formats of POST /api/v1/readings by content type; JSON is what a body without one is taken for.
FORMATS: dict[str, Any] = {
    media_type: module for module in (json, ndjson, senml, csv) for media_type in module.MEDIA_TYPES
}


class IngestView(APIView, ABC):
    """A way to post readings by key. Subclasses parse the body, and answer in their protocol's own shape.

    Its requests come by the hundred a second, so it does by itself the little of REST framework's handling that they
    need; of the framework it has the schema.
    """

    required_scope = Scope.INGEST

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponse]:
        """Mark the view for `ProgramsFirstMiddleware`."""
        view = super().as_view(**initkwargs)
        view.is_for_programs = True
        return view

    def dispatch(self, request: HttpRequest, *args: object, **kwargs: object) -> HttpResponse:
        self.api_key: ApiKey | None = None
        try:
            if request.method == "OPTIONS":
                return HttpResponse(headers={"Allow": "POST, OPTIONS"})
            if request.method != "POST":
                raise MethodNotAllowed(str(request.method))
            self.authenticate(request)
            return self.post(request)
        except RefusedRequest as refused:
            return self._count_and_refuse(refused)
        except Exception as error:
            response = problem_of(error)
            if response is None:
                raise
            return self._count_and_refuse(_as_refused(response, error))

    def _count_and_refuse(self, refused: RefusedRequest) -> HttpResponse:
        if self.api_key is not None:
            metering.count_refused_request(self.api_key, refused.code)
        return self.refuse(refused)

    def authenticate(self, request: HttpRequest) -> None:
        """Find the key of the request, and see that it may post; raises DRF's exceptions."""
        self.api_key = authenticate_request(request)
        if self.api_key is not None:
            require_scope(self.api_key, self.required_scope)
        elif request.user.is_authenticated:
            raise PermissionDenied("This is for programs: use a key.", code="key_only")
        else:
            missing = NotAuthenticated("Send a key: Authorization: Bearer <key>.")
            missing.auth_header = CHALLENGE
            raise missing

    def post(self, request: HttpRequest) -> HttpResponse:
        return self.receive(request)

    def receive(self, request: HttpRequest) -> HttpResponse:
        """Store what is posted. Raises RefusedRequest, and what `problem_of` knows."""
        api_key = cast(ApiKey, self.api_key)
        try:
            metering.require_room(api_key)
        except metering.OverLimit as error:
            raise _over_limit(error) from error
        try:
            parsed = self._parse(request, api_key)
        except RefusedRequest:
            # A body that fails has cost the most of the work.
            _charge(api_key, readings=0)
            raise
        metered = _charge(api_key, readings=parsed.received)
        response = self.store(request, api_key, parsed)
        for name, value in metered.headers.items():
            response[name] = value
        return response

    def store(self, request: HttpRequest, api_key: ApiKey, parsed: Any) -> HttpResponse:
        """Store what the parser found, and answer."""
        if is_true(request, "historical"):
            parsed = replace(parsed, historical=True)
        parsed = resolve_request(parsed, arrived_us=microseconds(clock.now()))
        receipt = ingest_readings(
            organization=api_key.organization,
            parsed=parsed,
            api_key=api_key,
            all_or_nothing=is_true(request, "atomic"),
            format=self.format_name(request),
        )
        if receipt.batch is None and receipt.refusals:
            metering.count_refused_request(api_key, "all_refused")
        return self.answer(receipt)

    def _parse(self, request: HttpRequest, api_key: ApiKey) -> Any:
        parse = self.parser(request, api_key)
        try:
            return parse(body_of(request))
        except TooManyReadings as error:
            raise RefusedRequest(413, error.code, error.detail) from error
        except MalformedBody as error:
            raise RefusedRequest(400, "malformed", error.detail) from error

    @abstractmethod
    def parser(self, request: HttpRequest, api_key: ApiKey) -> Callable[[bytes], Any]:
        """What turns the body into readings (or events); it may raise MalformedBody and TooManyReadings.

        Raises RefusedRequest.
        """

    @abstractmethod
    def format_name(self, request: HttpRequest) -> str:
        """The format's name for people."""

    def answer(self, receipt: Receipt) -> HttpResponse:
        """200 when all was stored or held, 207 when some was refused, 422 when nothing was stored."""
        return receipt_answer(receipt)

    def refuse(self, refused: RefusedRequest) -> HttpResponse:
        """The answer to a request that is refused as a whole, in this protocol's shape."""
        return problem(refused.status, refused.code, refused.detail, headers=refused.headers)


def is_true(request: HttpRequest, name: str) -> bool:
    """Whether the query string says yes to that."""
    return request.GET.get(name, "").lower() in {"1", "true"}


def _charge(api_key: ApiKey, *, readings: int) -> metering.Metered:
    try:
        return metering.charge(api_key, readings=readings)
    except metering.OverLimit as error:
        raise _over_limit(error) from error


def _over_limit(error: metering.OverLimit) -> RefusedRequest:
    return RefusedRequest(429, "rate_limited", str(error), headers=error.headers)


def _as_refused(response: JsonResponse, error: Exception) -> RefusedRequest:
    """A problem of REST framework's or the database's, for the answer in a protocol's own shape."""
    body = jsonlib.loads(response.content)
    headers = {name: response[name] for name in ("WWW-Authenticate", "Retry-After") if name in response}
    if isinstance(error, MethodNotAllowed):
        headers["Allow"] = "POST, OPTIONS"
    return RefusedRequest(response.status_code, body["code"], body["detail"], headers=headers)


class ReadingsView(IngestView):
    @extend_schema(
        operation_id="post_readings",
        tags=["readings"],
        request={
            media_type: ReadingsBody if media_type == "application/json" else bytes for media_type in FORMATS
        },
        parameters=[
            OpenApiParameter("atomic", bool, description="All readings or none."),
            OpenApiParameter("historical", bool, description="Old data: stored, but pages nobody."),
        ],
        responses={200: ReceiptBody, 207: ReceiptBody, 422: ReceiptBody},
        examples=[
            OpenApiExample(
                "one reading",
                request_only=True,
                media_type="application/json",
                value={
                    "readings": [
                        {
                            "sensor": "pump-7/vibration",
                            "ts": "2026-11-22T10:00:00.250Z",
                            "value": 4.2,
                            "unit": "mm/s",
                        }
                    ]
                },
            )
        ],
    )
    def post(self, request: HttpRequest) -> HttpResponse:
        """Store readings. The same reading twice is stored once; 2xx means that it is committed."""
        return self.receive(request)

    def parser(self, request: HttpRequest, api_key: ApiKey) -> Callable[[bytes], ParsedReadings]:
        return partial(
            format_of(request, FORMATS).parse, zone=ZoneInfo(api_key.time_zone) if api_key.time_zone else None
        )

    def format_name(self, request: HttpRequest) -> str:
        return format_of(request, FORMATS).NAME
