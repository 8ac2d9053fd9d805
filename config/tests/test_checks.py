"""What the settings promise each other, and what refuses to start."""

import io
import subprocess
import sys

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from dotenv import dotenv_values

from config import options
from config.checks import check_proxies
from config.environment import env_line


def test_it_accepts_the_defaults():
    call_command("check")


def test_x_above_y_is_an_error(settings):
    settings.HOT_MESSAGES_PER_CHAT = settings.DB_MESSAGES_PER_CHAT + 1
    with pytest.raises(SystemCheckError, match=r"strata.E001.*HOT_MESSAGES_PER_CHAT \(1001\)"):
        call_command("check")


def test_x_may_equal_y(settings):
    settings.HOT_MESSAGES_PER_CHAT = settings.DB_MESSAGES_PER_CHAT
    call_command("check")


@pytest.mark.parametrize("name", ["LIMIT_SENDS_PER_MINUTE", "TRUSTED_PROXIES"])
def test_less_than_none_is_an_error(settings, name):
    setattr(settings, name, -1)
    with pytest.raises(SystemCheckError, match=rf"strata.E004.*{name} is -1"):
        call_command("check")


PROXIED = [
    {"WEB_SOCKET": "/run/strata/web.sock", "HOST": "0.0.0.0"},
    {"BEHIND_TLS_PROXY": True, "HOST": "0.0.0.0"},
    *({"HOST": host} for host in ("127.0.0.1", "127.0.1.1", "::1", "localhost")),
]


@pytest.mark.parametrize("changes", PROXIED)
def test_a_proxy_that_is_not_counted_is_warned_of(settings, changes):
    for name, value in changes.items():
        setattr(settings, name, value)
    (found,) = check_proxies(None)
    assert found.id == "strata.W001"
    assert "TRUSTED_PROXIES is 0" in found.msg
    settings.TRUSTED_PROXIES = 1
    assert check_proxies(None) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "203.0.113.7", "chat.example"])
def test_a_server_that_the_network_reaches_needs_no_proxy(settings, host):
    settings.HOST = host
    assert check_proxies(None) == []


def test_the_check_of_a_deployment_says_so():
    random = "".join(map(chr, range(48, 112)))
    good = {"SECRET_KEY": random, "ARCHIVE_KEY": random[20:], "ALLOWED_HOSTS": "chat.example"}
    check = ("check", "--deploy", "--fail-level", "WARNING")
    status, said = run_manage(*check, **good, BEHIND_TLS_PROXY="true")
    assert (status, "strata.W001" in said) == (1, True), said
    status, said = run_manage(*check, **good, BEHIND_TLS_PROXY="true", TRUSTED_PROXIES="1")
    assert status == 0, said


@pytest.mark.django_db
def test_the_database_has_its_timeouts_and_prepared_statements():
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_timeout'), current_setting('fsync')")
        assert cursor.fetchone() == ("10s", "on")  # as conftest.py has it
        assert connection.connection.prepare_threshold == 1


def run_manage(*arguments, **variables):
    """Run manage.py with these variables alone; return status and what it wrote."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=options.BASE_DIR,
        env={"DATA_DIR": "/nonexistent", "PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "SECRET_KEY is not set"),
        (options.DEVELOPMENT_SECRET_KEY, "SECRET_KEY is a default"),
        ("django-insecure-" + "x1y2z3" * 10, "SECRET_KEY is a default"),
        ("short", "SECRET_KEY is too short"),
        ("a" * 100, "SECRET_KEY is too short or too simple"),
    ],
)
def test_production_refuses_a_bad_secret_in_one_sentence(key, reason):
    status, text = run_manage("check", SECRET_KEY=key)
    assert status == 1
    assert text.startswith(reason)
    assert text.count("\n") == 1


def test_development_needs_no_secret():
    status, text = run_manage("check", DEBUG="true")
    assert status == 0, text


def test_a_setting_that_cant_be_read_is_one_sentence():
    status, text = run_manage("check", DEBUG="true", MESSAGE_MAX_CHARS="many")
    assert status == 1
    assert "MESSAGE_MAX_CHARS" in text
    assert text.count("\n") == 1


def test_an_empty_variable_is_the_default():
    status, text = run_manage("check", DEBUG="true", MESSAGE_MAX_CHARS="", ALLOWED_HOSTS="")
    assert status == 0, text


@pytest.mark.parametrize(
    "value",
    [
        "plain",
        "",
        "postgres://a:b@127.0.0.1:5432/c?sslmode=require&application_name=d",
        "*",
        "a b # c",
        '$HOME `id` \\ "quoted"',
        'it\'s \\ "so"',
        "größe 🜚",
    ],
)
def test_a_line_of_the_env_file_is_read_alike_by_shell_and_dotenv(value):
    line = env_line("NAME", value)
    assert dotenv_values(stream=io.StringIO(line), interpolate=False) == {"NAME": value}
    shown = subprocess.run(
        ["sh", "-c", f'{line}printf %s "$NAME"'], capture_output=True, text=True, check=True
    )
    assert shown.stdout == value


@pytest.mark.parametrize("value", ["two\nlines", "it's $5"])
def test_a_value_that_they_would_read_differently_is_refused(value):
    with pytest.raises(ValueError, match="NAME has a value"):
        env_line("NAME", value)


def test_the_page_of_settings_says_what_the_code_says():
    assert options.PAGE.read_text(encoding="utf-8") == options.page()


def test_the_check_of_a_deployment_asks_for_an_archive_key():
    good = {"SECRET_KEY": "".join(map(chr, range(48, 112))), "ALLOWED_HOSTS": "chat.example"}
    status, said = run_manage("check", "--deploy", **good, TRUSTED_PROXIES="1")
    assert (status, "strata.E005" in said) == (1, True), said
