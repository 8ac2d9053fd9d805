"""Django's settings, one file for every place that Strata runs in.

Whatever may differ between places comes from the environment through `config/options.py`;
`docs/settings.md` lists it. The rest is decided here.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import dj_database_url
import django_stubs_ext
from celery.schedules import crontab
from csp.constants import NONE, SELF
from environs import Env, EnvError

from common import logs
from config import admin_pages, options

# Django's generic classes can't be subscripted at run time without it: ModelAdmin[User].
django_stubs_ext.monkeypatch()

env = Env()

try:
    DEBUG = options.DEBUG.read(env)
    SECRET_KEY = options.SECRET_KEY.read(env)
    SECRET_KEY_FALLBACKS = options.SECRET_KEY_FALLBACKS.read(env)
    ALLOWED_HOSTS = options.ALLOWED_HOSTS.read(env)
    CSRF_TRUSTED_ORIGINS = options.CSRF_TRUSTED_ORIGINS.read(env)
    BODY_MAX_BYTES = options.BODY_MAX_BYTES.read(env)
    LOG_LEVEL = options.LOG_LEVEL.read(env).upper()
    LOG_FORMAT = options.LOG_FORMAT.read(env)
    ACCESS_LOG = options.ACCESS_LOG.read(env)
    SLOW_REQUEST_MS = options.SLOW_REQUEST_MS.read(env)
    SLOW_QUERY_MS = options.SLOW_QUERY_MS.read(env)
    TRUST_REQUEST_ID = options.TRUST_REQUEST_ID.read(env)

    HOST = options.HOST.read(env)
    WEB_SOCKET = options.WEB_SOCKET.read(env)

    METRICS_TOKEN = options.METRICS_TOKEN.read(env)
    METRICS_ALLOWED = options.METRICS_ALLOWED.read(env)
    METRICS_DIR = options.METRICS_DIR.read(env)

    SECURE_SSL_REDIRECT = options.SECURE_SSL_REDIRECT.read(env)
    SECURE_COOKIES = options.SECURE_COOKIES.read(env)
    SECURE_HSTS_SECONDS = options.SECURE_HSTS_SECONDS.read(env)
    BEHIND_TLS_PROXY = options.BEHIND_TLS_PROXY.read(env)
    TRUSTED_PROXIES = options.TRUSTED_PROXIES.read(env)
    ADMIN_REQUIRE_SECOND_FACTOR = options.ADMIN_REQUIRE_SECOND_FACTOR.read(env)

    DATABASE_URL = options.DATABASE_URL.read(env)
    DB_TRANSACTION_TIMEOUT_MS = options.DB_TRANSACTION_TIMEOUT_MS.read(env)
    DB_LOCK_TIMEOUT_MS = options.DB_LOCK_TIMEOUT_MS.read(env)

    REDIS_URL = options.REDIS_URL.read(env)
    QUEUE_URL = options.QUEUE_URL.read(env) or REDIS_URL
    CACHE_TIMEOUT_MS = options.CACHE_TIMEOUT_MS.read(env)
    CACHE_BREAKER_MS = options.CACHE_BREAKER_MS.read(env)
    SWEEP_INTERVAL_MS = options.SWEEP_INTERVAL_MS.read(env)

    S3_ENDPOINT_URL = options.S3_ENDPOINT_URL.read(env)
    S3_BUCKET = options.S3_BUCKET.read(env)
    S3_ACCESS_KEY_ID = options.S3_ACCESS_KEY_ID.read(env)
    S3_SECRET_ACCESS_KEY = options.S3_SECRET_ACCESS_KEY.read(env)
    S3_REGION = options.S3_REGION.read(env)
    ARCHIVE_KEY = options.ARCHIVE_KEY.read(env)
    ARCHIVE_THREADS = options.ARCHIVE_THREADS.read(env)
    ARCHIVE_CACHE_SECONDS = options.ARCHIVE_CACHE_SECONDS.read(env)

    HOT_MESSAGES_PER_CHAT = options.HOT_MESSAGES_PER_CHAT.read(env)
    HOT_BYTES_PER_CHAT = options.HOT_BYTES_PER_CHAT.read(env)
    DB_MESSAGES_PER_CHAT = options.DB_MESSAGES_PER_CHAT.read(env)
    ARCHIVE_RETENTION_DAYS = options.ARCHIVE_RETENTION_DAYS.read(env)
    ACTIVE_WINDOW_SECONDS = options.ACTIVE_WINDOW_SECONDS.read(env)
    GROUP_MAX_MEMBERS = options.GROUP_MAX_MEMBERS.read(env)
    MESSAGE_MAX_CHARS = options.MESSAGE_MAX_CHARS.read(env)
    FANOUT_MAX_MEMBERS = options.FANOUT_MAX_MEMBERS.read(env)
    TOKEN_LIFETIME_DAYS = options.TOKEN_LIFETIME_DAYS.read(env)
    TOKENS_PER_USER = options.TOKENS_PER_USER.read(env)
    OPEN_REPORTS_PER_USER = options.OPEN_REPORTS_PER_USER.read(env)
    REPORT_TEXT_DAYS = options.REPORT_TEXT_DAYS.read(env)
    BREAK_GLASS_MINUTES = options.BREAK_GLASS_MINUTES.read(env)

    LIMIT_FREE_ADDRESSES = options.networks(options.LIMIT_FREE_ADDRESSES.read(env))
    LIMIT_SENDS_PER_MINUTE = options.LIMIT_SENDS_PER_MINUTE.read(env)
    LIMIT_POLLS_PER_MINUTE = options.LIMIT_POLLS_PER_MINUTE.read(env)
    LIMIT_READS_PER_MINUTE = options.LIMIT_READS_PER_MINUTE.read(env)
    LIMIT_WRITES_PER_MINUTE = options.LIMIT_WRITES_PER_MINUTE.read(env)
    LIMIT_GROUPS_PER_HOUR = options.LIMIT_GROUPS_PER_HOUR.read(env)
    LIMIT_ADDS_PER_HOUR = options.LIMIT_ADDS_PER_HOUR.read(env)
    LIMIT_NEW_USER_REACHES_PER_HOUR = options.LIMIT_NEW_USER_REACHES_PER_HOUR.read(env)
    NEW_USER_HOURS = options.NEW_USER_HOURS.read(env)
    LIMIT_REPORTS_PER_HOUR = options.LIMIT_REPORTS_PER_HOUR.read(env)
    LIMIT_EXPORTS_PER_DAY = options.LIMIT_EXPORTS_PER_DAY.read(env)
    LIMIT_DOWNLOADS_PER_MINUTE = options.LIMIT_DOWNLOADS_PER_MINUTE.read(env)
    DOWNLOADS_BY_PROXY = options.DOWNLOADS_BY_PROXY.read(env)
    DOWNLOADS_PER_USER = options.DOWNLOADS_PER_USER.read(env)
    DOWNLOAD_THREADS = options.DOWNLOAD_THREADS.read(env)
    LIMIT_VISITS_PER_MINUTE = options.LIMIT_VISITS_PER_MINUTE.read(env)
    LIMIT_REGISTRATIONS_PER_HOUR = options.LIMIT_REGISTRATIONS_PER_HOUR.read(env)
    LIMIT_LOGIN_FAILURES_PER_HOUR = options.LIMIT_LOGIN_FAILURES_PER_HOUR.read(env)
    LIMIT_LOGIN_FAILURES_PER_ADDRESS = options.LIMIT_LOGIN_FAILURES_PER_ADDRESS.read(env)
    LIMIT_LOGIN_FAILURES_PER_NAME = options.LIMIT_LOGIN_FAILURES_PER_NAME.read(env)
    LIMIT_LOGINS_PER_HOUR = options.LIMIT_LOGINS_PER_HOUR.read(env)
    LIMIT_LOGINS_PER_ADDRESS = options.LIMIT_LOGINS_PER_ADDRESS.read(env)
    LIMIT_LOGINS_PER_NAME = options.LIMIT_LOGINS_PER_NAME.read(env)
    LIMIT_CODES_PER_HOUR = options.LIMIT_CODES_PER_HOUR.read(env)
    LIMIT_CODES_PER_USER = options.LIMIT_CODES_PER_USER.read(env)
    WORKER_DRAIN_SECONDS = options.WORKER_DRAIN_SECONDS.read(env)
except EnvError as error:
    # One sentence, whoever imports the settings: manage.py, the web server, a worker.
    sys.exit(f"A setting can't be read: {error} (see docs/settings.md)")

if DEBUG:
    SECRET_KEY = SECRET_KEY or options.DEVELOPMENT_SECRET_KEY
    ARCHIVE_KEY = ARCHIVE_KEY or [options.DEVELOPMENT_ARCHIVE_KEY]
elif problem := options.secret_key_problem(SECRET_KEY):
    sys.exit(problem)
if not DEBUG and (problem := options.archive_key_problem(ARCHIVE_KEY)):
    sys.exit(problem)

BASE_DIR = options.BASE_DIR
DATA_DIR: Path = BASE_DIR / options.DATA_DIR.read(env)

# What the project is made of -------------------------------------------------------------------

INSTALLED_APPS = [
    # Before those whose commands its own stand in for: createsuperuser and its like.
    "accounts",
    # First, since its templates stand in for some of the admin's.
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "common",
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "drf_standardized_errors",
    "audit",
    "messaging",
    "chats",
    "groups",
    "archive",
    "moderation",
    "overview",
    "config",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "common.headers.PageHeaders",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "audit.middleware.AuditMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "accounts.factor_views.SecondFactorGate",
    "common.pages.RefusalPages",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
# For requests with an Authorization header, see config/wsgi.py: programs keep no session, and the
# API's answers carry what the security middleware would add, unless it has more to say.
PROGRAM_MIDDLEWARE = MIDDLEWARE[:1] if SECURE_SSL_REDIRECT or SECURE_HSTS_SECONDS else []
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Where the pages for people lead from an id, by the name it goes under.
_USER = [("open", "user-detail")]
_CHAT = [("open", "chat-detail"), ("messages", "chat_messages")]
PAGES_OF_IDS: dict[str, list[tuple[str, str]]] = {
    "chat_id": _CHAT,
    "group_id": [
        ("open", "group-detail"),
        ("members", "group-members"),
        ("messages", "chat_messages"),
    ],
    "export_id": [("open", "export-detail"), ("download", "export-download")],
    "user_id": _USER,
    "owner_id": _USER,
    "sender_id": _USER,
}

# The tiers that a message is read from, fastest first.
STRATA_TIERS = [
    "messaging.tiers.cache.CacheTier",
    "messaging.tiers.database.DatabaseTier",
    "archive.tiers.ArchiveTier",
]

# People ----------------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["accounts.backends.UserBackend"]
PASSWORD_HASHERS = [
    "accounts.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
# In the database, so that people stay logged in while the cache is away.
SESSION_ENGINE = "accounts.sessions"
LOGIN_URL = "browse_login"
LOGIN_REDIRECT_URL = "/"

# What an authenticator app calls its entry.
OTP_TOTP_ISSUER = "Strata"
# Its own throttle waits by user alone, so that a thief of the password locks the owner out: codes
# are limited by accounts/code_limits.py.
OTP_TOTP_THROTTLE_FACTOR = OTP_STATIC_THROTTLE_FACTOR = 0

# The admin: see config/admin_pages.py ------------------------------------------------------------

UNFOLD = admin_pages.UNFOLD

# HTTPS -----------------------------------------------------------------------------------------

SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_COOKIES
# Forms carry the token themselves; no script of ours reads the cookie.
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
if SECURE_COOKIES:
    # A browser takes a cookie of this prefix only over HTTPS and for this host alone, so neither a
    # neighbour under the same domain nor somebody on the line can plant one.
    SESSION_COOKIE_NAME = "__Host-sessionid"
    CSRF_COOKIE_NAME = "__Host-csrftoken"
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = SECURE_HSTS_SECONDS > 0
# Probes and scrapers come from inside, over plain HTTP.
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_TLS_PROXY else None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# What a page may load and do: no script at all unless a path below says so, and nowhere what
# somebody managed to write into a page.
_CSP: dict[str, Any] = {
    "default-src": [NONE],
    "style-src": [SELF],
    "img-src": [SELF, "data:"],
    "form-action": [SELF],
    "base-uri": [NONE],
    "frame-ancestors": [NONE],
}
CONTENT_SECURITY_POLICY: dict[str, Any] = {"DIRECTIVES": _CSP}
CSP_BY_PATH: dict[str, dict[str, Any]] = {
    # Swagger UI fetches the schema and sends what is tried.
    "/docs/": _CSP | {"script-src": [SELF], "connect-src": [SELF]},
    "/admin/": _CSP
    | {
        # The frame of the pages is our own, with Alpine's build that evaluates no strings, so that
        # files are enough: see common/templates/unfold/layouts/skeleton.html.
        "script-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF],
    },
}
CSRF_FAILURE_VIEW = "common.pages.csrf_failure"

# The API ---------------------------------------------------------------------------------------

APPEND_SLASH = False
DATA_UPLOAD_MAX_MEMORY_SIZE = BODY_MAX_BYTES
REST_FRAMEWORK: dict[str, Any] = {
    "EXCEPTION_HANDLER": "common.error_shape.exception_handler",
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["common.limits.Throttle"],
    "DEFAULT_RENDERER_CLASSES": [
        "common.renderers.JSONRenderer",
        "common.browsable.BrowsableAPIRenderer",
    ],
    "DEFAULT_PARSER_CLASSES": [
        "common.parsers.JSONParser",
        # For the browsable API's forms. None comes in parts: see common/request_gate.py.
        "common.parsers.BrowserFormParser",
    ],
    "DEFAULT_PAGINATION_CLASS": "common.pagination.CursorPagination",
    "DEFAULT_SCHEMA_CLASS": "common.schema.AutoSchema",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Strata",
    "DESCRIPTION": "A messaging server: private chats and groups over three tiers of storage.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "OAS_VERSION": "3.1.0",
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "common.schema.share_answers",
    ],
    "TAGS": [
        {"name": "accounts", "description": "Who: users, their tokens, whom they block."},
        {"name": "chats", "description": "Writing to a user, and all chats that you are in."},
        {"name": "groups", "description": "Groups, who is in them and as what."},
        {"name": "messaging", "description": "Receiving: what is new, and what there was."},
        {"name": "archive", "description": "What cold storage holds for you, to list and take."},
        {"name": "moderation", "description": "Reporting a message or a user to the moderators."},
        {"name": "service", "description": "The service itself, for programs that watch it."},
    ],
    "ENUM_NAME_OVERRIDES": {
        "ChatKind": "messaging.models.Chat.Kind",
        "MessageKind": "messaging.models.Message.Kind",
        "Role": "messaging.models.Membership.Role",
        "ReportKind": "moderation.models.Kind",
        "ReportReason": "moderation.models.Reason",
        "ReportState": "moderation.models.State",
    },
    # The pages' scripts come from our own origin.
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# Static files, found in the packages that bring them: nothing to collect, nothing to go stale.
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True

# Time and language -----------------------------------------------------------------------------

USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en-us"
USE_I18N = False
FORMAT_MODULE_PATH = ["config.formats"]

# Database --------------------------------------------------------------------------------------

try:
    _database = dj_database_url.parse(
        DATABASE_URL,
        # Django's own, with a bound on how long an answer is waited for.
        engine="common.postgresql",
        # Kept for the thread's life: opening one costs ten times a whole send. Dead ones are
        # noticed where they are used, so no health check is paid for on each request.
        conn_max_age=None,
        conn_health_checks=False,
    )
except ValueError:
    # Without the value, which holds a password.
    sys.exit("DATABASE_URL is not the URL of a database: postgres://user:password@host:5432/name.")
DATABASES: dict[str, Any] = {"default": _database}
_database_options: dict[str, Any] = DATABASES["default"].setdefault("OPTIONS", {})
_server_options = {
    "transaction_timeout": DB_TRANSACTION_TIMEOUT_MS,
    "idle_in_transaction_session_timeout": DB_TRANSACTION_TIMEOUT_MS,
    "lock_timeout": DB_LOCK_TIMEOUT_MS or DB_TRANSACTION_TIMEOUT_MS * 4 // 5,
    # Every statement here is short: compiling one costs more than running it.
    "jit": "off",
}
_database_options.setdefault("connect_timeout", 3)
_database_options |= {
    # Django's default for the first is None, which switches prepared statements off.
    "prepare_threshold": 1,
    "server_side_binding": True,
    "options": " ".join(
        [
            *(f"-c {name}={value}" for name, value in _server_options.items()),
            _database_options.get("options", ""),
        ]
    ).strip(),
}

# Cache -----------------------------------------------------------------------------------------

CACHES: dict[str, Any] = {
    "default": {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "strata",
        "OPTIONS": {
            "CLIENT_CLASS": "django_redis.client.DefaultClient",
            # Not pickle: who can write to the cache must not be able to run code here.
            "SERIALIZER": "django_redis.serializers.json.JSONSerializer",
            "SOCKET_CONNECT_TIMEOUT": CACHE_TIMEOUT_MS / 1000,
            "SOCKET_TIMEOUT": CACHE_TIMEOUT_MS / 1000,
        },
    }
}
# Where the queue is, for those who ask how long it is.
CACHES["queue"] = CACHES["default"] | {"LOCATION": QUEUE_URL}

# Cold storage ----------------------------------------------------------------------------------

_bucket: dict[str, Any] = {
    "bucket_name": S3_BUCKET,
    "endpoint_url": S3_ENDPOINT_URL or None,
    "region_name": S3_REGION,
    "access_key": S3_ACCESS_KEY_ID or None,
    "secret_key": S3_SECRET_ACCESS_KEY or None,
}
STORAGES: dict[str, Any] = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
    # The same bucket for runs, which are patient, and for pages, which somebody waits for.
    "archive": {"BACKEND": "archive.buckets.PatientStorage", "OPTIONS": _bucket},
    "archive-pages": {"BACKEND": "archive.buckets.BriskStorage", "OPTIONS": _bucket},
}

# Queue -----------------------------------------------------------------------------------------

CELERY_BROKER_URL = QUEUE_URL
CELERY_BROKER_TRANSPORT_OPTIONS = {"global_keyprefix": "strata-queue:"}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_SERIALIZER = "json"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
# A task that can't be acknowledged any more runs again anyway, and every task may.
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = float(WORKER_DRAIN_SECONDS)
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE: dict[str, Any] = {
    "note-figures": {"task": "config.tasks.note_figures", "schedule": 60.0},
    "measure": {"task": "config.tasks.measure", "schedule": crontab(minute="*/15")},
    "save-last-used": {"task": "accounts.tasks.save_last_used", "schedule": 60.0},
    "redact": {"task": "moderation.tasks.redact", "schedule": 60.0},
    "forget-reported-texts": {
        "task": "moderation.tasks.forget_reported_texts",
        "schedule": 3600.0,
    },
    "anchor-audit": {"task": "archive.tasks.anchor_audit", "schedule": 300.0},
    "record-repeated": {"task": "audit.tasks.record_repeated", "schedule": 60.0},
    "end-bans": {"task": "accounts.tasks.end_bans", "schedule": 60.0},
    "delete-dead-tokens": {"task": "accounts.tasks.delete_dead_tokens", "schedule": 3600.0},
    "clear-sessions": {"task": "accounts.tasks.clear_sessions", "schedule": 3600.0},
    # Two minutes past each hour: nothing dated in the hour before can be committed any more.
    "backup": {"task": "archive.tasks.backup", "schedule": crontab(minute="2")},
    "trim": {"task": "archive.tasks.trim", "schedule": crontab(minute="32")},
    "purge": {"task": "archive.tasks.purge", "schedule": crontab(hour="4", minute="47")},
    "verify": {"task": "archive.tasks.verify", "schedule": crontab(hour="2", minute="17")},
    "tend-exports": {"task": "archive.tasks.tend_exports", "schedule": 60.0},
    "drill": {
        "task": "archive.tasks.drill",
        "schedule": crontab(day_of_week="sun", hour="5", minute="17"),
    },
}
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "run" / "beat-schedule")

# Logs: lines on stderr ---------------------------------------------------------------------------

if LOG_FORMAT not in {"line", "json"}:
    sys.exit(f"LOG_FORMAT is {LOG_FORMAT!r}; it must be line or json.")
if ACCESS_LOG not in {"off", "cold", "all"}:
    sys.exit(f"ACCESS_LOG is {ACCESS_LOG!r}; it must be off, cold or all.")
LOGGING = logs.config(LOG_FORMAT, LOG_LEVEL)
