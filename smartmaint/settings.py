"""Settings, all from the environment; `.env.example` lists the variables. Starts nothing."""

import os
from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured
from django.urls import reverse_lazy
from kombu import Exchange, Queue

from smartmaint.logging import logging_config


def flag(name: str, default: bool) -> bool:
    return os.environ.get(name, str(int(default))).lower() in {"1", "true", "yes", "on"}


def words(name: str, default: str = "") -> list[str]:
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


# Web and worker have a process per core already; numpy, which comes later, must not add threads that fight for them.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = Path(os.environ.get("SMARTMAINT_VAR", BASE_DIR / "var"))

DEBUG = flag("DEBUG", False)
SECRET_KEY = os.environ.get("SECRET_KEY", "only-for-debugging" if DEBUG else "")
if not SECRET_KEY:
    raise ImproperlyConfigured("Set SECRET_KEY to a long random text (or DEBUG=1 on your own machine).")
ALLOWED_HOSTS = words("ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = words("CSRF_TRUSTED_ORIGINS")

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",  # The default one would put its own admin site in place of ours.
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.simple_history",
    "smartmaint.admin_apps.SmartMaintAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "django_structlog",
    "django_htmx",
    "simple_history",
    "axes",
    "csp",
    "smartmaint",
    "smartmaint.accounts",
    "smartmaint.notifications",
    "equipment",
    "sensors",
    "predictions",
    "maintenance",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "smartmaint.accounts.middleware.ProgramsFirstMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_structlog.middlewares.RequestMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "smartmaint.accounts.middleware.OrganizationMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "smartmaint.urls"
WSGI_APPLICATION = "smartmaint.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "smartmaint.accounts.context_processors.organization",
                "sensors.context_processors.alarms",
            ]
        },
    }
]

# Database: PostgreSQL everywhere, named by DATABASE_URL (the supervisor hands it to what it starts).
DATABASES = {
    "default": dj_database_url.config(
        default="postgres://localhost/smartmaint", conn_max_age=60, conn_health_checks=True
    )
}
# A host that does not answer is an answer too: 503, and the sender comes back.
DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)
# Only a pooler that hands out connections by transaction cannot have them, nor cursors that outlive one. It may stand
# before the web; agents hold locks for as long as they work.
PREPARED_STATEMENTS = flag("PREPARED_STATEMENTS", True)
DATABASES["default"]["DISABLE_SERVER_SIDE_CURSORS"] = not PREPARED_STATEMENTS
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Time is stored in UTC and shown in the organisation's zone.
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
USE_I18N = True
FORMAT_MODULE_PATH = ["smartmaint.formats"]

# People.
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = reverse_lazy("login")
LOGIN_REDIRECT_URL = reverse_lazy("home")
LOGOUT_REDIRECT_URL = reverse_lazy("login")
AXES_FAILURE_LIMIT = 10
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_TEMPLATE = "registration/locked_out.html"
BEHIND_PROXY = flag("BEHIND_PROXY", False)
if BEHIND_PROXY:
    # Else all people share the proxy's address, and anybody could lock anybody out. Believed is the last address
    # alone, which the proxy itself appends: those before it are the client's word. (The count is of further proxies
    # that the header names; unless told not to be strict, ipware passes over a header with more addresses.)
    AXES_IPWARE_META_PRECEDENCE_ORDER = ["HTTP_X_FORWARDED_FOR", "REMOTE_ADDR"]
    AXES_IPWARE_PROXY_COUNT = 0
    IPWARE_STRICT = False

# Safe by default; a plain-http installation says COOKIE_SECURE=0.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = flag("COOKIE_SECURE", True)
SECURE_SSL_REDIRECT = flag("SSL_REDIRECT", False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SECURE_HSTS_SECONDS = int(os.environ.get("HSTS_SECONDS", "0"))
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_HSTS_SECONDS > 0
# Both stay the operator's choice: HSTS behind HSTS_SECONDS, the redirect behind SSL_REDIRECT.
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W008"]
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        # BokehJS and the themed admin set styles on elements.
        "style-src": [SELF, UNSAFE_INLINE],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
# Alpine, which the themed admin is built on, compiles its expressions: only there.
ADMIN_SCRIPT_SOURCES = [SELF, UNSAFE_EVAL]

# Mail: without a host nothing is sent, and messages stand in the product and its log alone.
EMAIL_HOST = os.environ.get("EMAIL_HOST", "")
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'dummy'}.EmailBackend"
EMAIL_PORT = int(os.environ.get("EMAIL_PORT", "587"))
EMAIL_HOST_USER = os.environ.get("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_SSL = flag("EMAIL_USE_SSL", False)
EMAIL_USE_TLS = flag("EMAIL_USE_TLS", True) and not EMAIL_USE_SSL
# Well within the time that a claim of the work engine lasts.
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = os.environ.get("EMAIL_FROM", "smartmaint@localhost")
# Where people reach the product: for links in messages.
SITE_URL = os.environ.get("SITE_URL", f"http://localhost:{os.environ.get('PORT', '8000')}").rstrip("/")

# Requests: readings come in bodies larger than Django's default; the ingest view has its own limit of 10 MiB.
DATA_UPLOAD_MAX_MEMORY_SIZE = 10 * 1024 * 1024 + 1024

# What a key may send where it has no allowance of its own; 0 is no limit. For so many seconds' worth may come at once.
INGEST_REQUESTS_PER_S = float(os.environ.get("INGEST_REQUESTS_PER_S", "2000"))
INGEST_READINGS_PER_S = float(os.environ.get("INGEST_READINGS_PER_S", "200000"))
INGEST_BURST_S = float(os.environ.get("INGEST_BURST_S", "10"))

# Static files, pages and plots.
STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATICFILES_FINDERS = [
    "django.contrib.staticfiles.finders.FileSystemFinder",
    "django.contrib.staticfiles.finders.AppDirectoriesFinder",
    "smartmaint.bokeh_finder.BokehFinder",
]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG

# API.
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "smartmaint.accounts.api.ApiKeyAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["smartmaint.accounts.api.IsMemberOrKey"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.LimitOffsetPagination",
    "PAGE_SIZE": 100,
    "EXCEPTION_HANDLER": "smartmaint.problems.problem_response",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Smart Maintenance",
    "DESCRIPTION": "Post readings, read what was made of them, and report work.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# Celery: Beat is the clock, rows are the store. Messages carry nothing and may be lost.
CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL", "filesystem://")
# Two installations on one broker need a queue each.
CELERY_TASK_DEFAULT_QUEUE = os.environ.get("CELERY_QUEUE", "smartmaint")
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False
# An agent stops by itself after some seconds; one that hangs must not hold its lock for ever.
CELERY_TASK_TIME_LIMIT = 300
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Prophet's sampler keeps a folder per process under /tmp, which cleaners empty: processes are renewed.
CELERY_WORKER_MAX_TASKS_PER_CHILD = 5_000
CELERY_WORKER_MAX_MEMORY_PER_CHILD = 800_000  # kB: one that a forecast has blown up is replaced
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_MAX_LOOP_INTERVAL = 1
# Beat writes down when it last ran after so many ticks, some ten seconds: /readyz reads it.
CELERY_BEAT_SYNC_EVERY = 20
CELERY_ENABLE_REMOTE_CONTROL = not CELERY_BROKER_URL.startswith("filesystem")
if CELERY_BROKER_URL.startswith("filesystem"):
    broker_folder = Path(os.environ.get("BROKER_FOLDER", VAR_DIR / "broker"))
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(broker_folder / "messages"),
        "data_folder_out": str(broker_folder / "messages"),
        "control_folder": str(broker_folder / "control"),
        "polling_interval": 0.1,
    }
elif CELERY_BROKER_URL.startswith("amqp"):
    # A tick is worth nothing after a minute: without a worker the queue must not grow.
    CELERY_TASK_QUEUES = [
        Queue(
            CELERY_TASK_DEFAULT_QUEUE,
            # Celery's delayed delivery, which comes with quorum queues, can only be bound to a topic exchange.
            Exchange(CELERY_TASK_DEFAULT_QUEUE, type="topic"),
            routing_key=CELERY_TASK_DEFAULT_QUEUE,
            queue_arguments={"x-queue-type": "quorum"},
            message_ttl=60,
        )
    ]
    CELERY_BROKER_TRANSPORT_OPTIONS = {"confirm_publish": True}
WORK_BACKOFF_SECONDS = float(os.environ.get("WORK_BACKOFF_SECONDS", "30"))
# How long a batch of forecasts may take before another worker takes it for lost.
FORECAST_LEASE_SECONDS = float(os.environ.get("FORECAST_LEASE_SECONDS", "300"))
FORECASTS_AT_ONCE = int(os.environ.get("FORECASTS_AT_ONCE", "2"))

# Logs.
DJANGO_STRUCTLOG_CELERY_ENABLED = True
# Working the address out takes longer than checking a reading; the proxy's own log has it.
DJANGO_STRUCTLOG_IP_LOGGING_ENABLED = False
LOGGING = logging_config(
    style=os.environ.get("LOG_FORMAT", "console"), level=os.environ.get("LOG_LEVEL", "INFO").upper()
)

# History of records.
SIMPLE_HISTORY_HISTORY_CHANGE_REASON_USE_TEXT_FIELD = True

# The looks of the admin.
UNFOLD = {
    "SITE_TITLE": "Smart Maintenance",
    "SITE_HEADER": "Smart Maintenance",
    "SITE_SUBHEADER": "smartmaint.admin_site.site_subheader",
    "SITE_SYMBOL": "monitor_heart",
    "SITE_FAVICONS": [{"rel": "icon", "type": "image/svg+xml", "href": "smartmaint.admin_navigation.icon"}],
    "SITE_DROPDOWN": [
        {"title": "Home", "icon": "home", "link": reverse_lazy("home")},
        {"title": "Change organisation", "icon": "domain", "link": reverse_lazy("switch-organization")},
    ],
    "ENVIRONMENT": "smartmaint.admin_site.environment",
    "STYLES": ["smartmaint.admin_navigation.stylesheet"],
    "SIDEBAR": {"show_search": True, "navigation": "smartmaint.admin_navigation.sidebar"},
    "DASHBOARD_CALLBACK": "maintenance.admin.dashboard.dashboard",
    "SHOW_BACK_BUTTON": True,
    "ACCOUNT": {"navigation": [{"title": "Change password", "link": reverse_lazy("password_change")}]},
    "COLORS": {
        "primary": {
            "50": "#eef6f9",
            "100": "#d6e9f0",
            "200": "#b0d4e2",
            "300": "#7fb8ce",
            "400": "#4a98b5",
            "500": "#2c7d9c",
            "600": "#1f6583",
            "700": "#1b526b",
            "800": "#1a4559",
            "900": "#193a4b",
            "950": "#0d2532",
        }
    },
}
