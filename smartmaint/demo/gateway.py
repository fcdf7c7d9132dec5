"""The demo's gateway: a small client of the HTTP API, as an integrator would write one."""

import json
from collections.abc import Iterable
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from sensors.ingest.fields import QUALITY_BY_WORD
from sensors.ingest.parsed import ParsedReadings

TIMEOUT_S = 20.0
PAGE_SIZE = 100

_WORD_BY_QUALITY = {code: word for word, code in QUALITY_BY_WORD.items()}


class ServerAway(Exception):
    """Nobody answers, or only to say that it cannot now: trying again later may help."""


class Refused(Exception):
    """The server understood and said no: trying again will not help."""


class Gateway:
    """Talks to one server with one key. Every call raises ServerAway or Refused."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        self.key = key

    def post_readings(self, parsed: ParsedReadings) -> dict[str, Any]:
        """Post one request's readings; returns the receipt, with `received`, `accepted`, `rejected` and so on."""
        keys = [parsed.keys[number] for number in parsed.key_of_row]
        rows = zip(keys, parsed.ts_us.tolist(), parsed.values.tolist(), parsed.quality, strict=True)
        readings = [
            {"sensor": key, "ts": ts_us, "value": value, "quality": _WORD_BY_QUALITY[quality]}
            for key, ts_us, value, quality in rows
        ]
        return self._call("readings", body={"readings": readings, "historical": parsed.historical})

    def newest(self, what: str, *, count: int = PAGE_SIZE) -> list[dict[str, Any]]:
        """The newest anomalies, predictions or tasks, the newest first."""
        return self._call(f"{what}?{urlencode({'limit': count})}")["results"]

    def sensors(self) -> Iterable[dict[str, Any]]:
        """Every sensor with its limits and latest reading."""
        offset = 0
        while page := self._call(f"sensors?{urlencode({'limit': PAGE_SIZE, 'offset': offset})}")["results"]:
            yield from page
            offset += len(page)

    def _call(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        request = Request(
            f"{self.url}/api/v1/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
        )
        try:
            with urlopen(request, timeout=TIMEOUT_S) as answer:
                return json.load(answer)
        except HTTPError as error:
            reason = f"{error.code} {_detail(error)}"
            comes_back = (
                error.code >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code == HTTPStatus.TOO_MANY_REQUESTS
            )
            raise (ServerAway if comes_back else Refused)(reason) from error
        except (OSError, HTTPException) as error:
            raise ServerAway(str(getattr(error, "reason", error))) from error
        except ValueError as error:
            raise Refused(f"{self.url} does not answer as Smart Maintenance does.") from error


def _detail(error: HTTPError) -> str:
    """The problem's words, whatever shape the answer has."""
    try:
        problem = json.load(error)
    except (OSError, ValueError):
        return error.reason
    return problem.get("detail") or problem.get("title") or error.reason
