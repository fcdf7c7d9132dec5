"""Logs on standard error: for people on a console, or one JSON object a line; both carry the request's or task's id."""

from typing import Any

import structlog

SHARED_PROCESSORS = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def drop_beginnings(logger: object, method: str, event: dict[str, Any]) -> dict[str, Any]:
    """A request is told of once, when it is finished."""
    if event["event"] == "request_started":
        raise structlog.DropEvent
    return event


def logging_config(*, style: str, level: str) -> dict:
    """Configure structlog and return Django's LOGGING; `style` is "console" or "json"."""
    if style not in {"console", "json"}:
        raise ValueError(f"LOG_FORMAT is console or json, not {style!r}")
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            drop_beginnings,
            *SHARED_PROCESSORS,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    if style == "json":
        renderers = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        renderers = [structlog.dev.ConsoleRenderer(colors=False)]
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": SHARED_PROCESSORS,
                "processors": [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            "celery": {"level": "WARNING"},
            # Three lines for every tick; what an agent did, it says itself.
            "django_structlog.celery": {"level": "WARNING"},
            "cmdstanpy": {"level": "ERROR"},
            "prophet": {"level": "ERROR"},
            # It would say at each import that plotly, which nobody here needs, is missing.
            "prophet.plot": {"level": "CRITICAL"},
            "axes": {"level": "WARNING"},
            # What was refused is told as a finished request; of what broke, this tells where.
            "django.request": {"level": "ERROR"},
            "django.server": {"handlers": ["stderr"], "level": level, "propagate": False},
        },
    }
