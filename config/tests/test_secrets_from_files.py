"""Secrets from files: `NAME_FILE` stands for `NAME`, for each option that is a secret."""

import json
import subprocess
import sys

import pytest
from environs import Env, EnvError

from config import options
from config.stack.errors import StackError
from config.stack.stack import Stack

SECRETS = [option for section in options.SECTIONS.values() for option in section if option.secret]
READ = """
import json, sys
from config import settings
print(json.dumps([getattr(settings, name) for name in sys.argv[1:]]))
"""
KEY = "0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def read_settings(names, **variables):
    """Return these settings of a process that has these variables alone, else what it said."""
    done = subprocess.run(
        [
            *(sys.executable, "-c", READ),
            *names,
        ],
        cwd=options.BASE_DIR,
        env={"DATA_DIR": "/nonexistent", "PATH": "/usr/bin:/bin", **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr


def test_the_queue_is_in_the_cache_s_server_unless_it_has_one_of_its_own():
    urls = {"SECRET_KEY": KEY, "REDIS_URL": "redis://cache.example:6379/2"}
    assert read_settings(["CELERY_BROKER_URL"], **urls) == ["redis://cache.example:6379/2"]
    own = read_settings(
        ["CELERY_BROKER_URL", "REDIS_URL"], QUEUE_URL="redis://queue.example:6379/0", **urls
    )
    assert own == ["redis://queue.example:6379/0", "redis://cache.example:6379/2"]


def test_each_secret_is_marked_as_one():
    assert {option.name for option in SECRETS} >= {
        "SECRET_KEY",
        "SECRET_KEY_FALLBACKS",
        "ARCHIVE_KEY",
        "DATABASE_URL",
        "REDIS_URL",
        "QUEUE_URL",
        "S3_ACCESS_KEY_ID",
        "S3_SECRET_ACCESS_KEY",
    }


def test_all_of_them_are_read_from_files(tmp_path):
    values = {
        "SECRET_KEY": KEY,
        "SECRET_KEY_FALLBACKS": "older-one,\nolder-two\n",
        "DATABASE_URL": "postgres://ada:s%2Fx@db.example:5433/chat\n",
        "REDIS_URL": "redis://:pw@cache.example:6379/2",
        "S3_ACCESS_KEY_ID": "key",
        "S3_SECRET_ACCESS_KEY": "secret\n",
    }
    files = {}
    for name, value in values.items():
        (tmp_path / name).write_text(value)
        files[f"{name}_FILE"] = str(tmp_path / name)
    key, fallbacks, databases, broker, key_id, secret = read_settings(
        [
            *("SECRET_KEY", "SECRET_KEY_FALLBACKS", "DATABASES", "CELERY_BROKER_URL"),
            *("S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"),
        ],
        **files,
    )
    assert key == KEY
    assert fallbacks == ["older-one", "older-two"]
    database = databases["default"]
    assert (database["HOST"], database["PORT"], database["USER"]) == ("db.example", 5433, "ada")
    assert (database["PASSWORD"], database["NAME"]) == ("s/x", "chat")
    assert broker == "redis://:pw@cache.example:6379/2"
    assert (key_id, secret) == ("key", "secret")


@pytest.mark.parametrize("option", SECRETS, ids=lambda option: option.name)
def test_a_secret_and_its_file_at_once_are_refused(option, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("one")
    monkeypatch.setenv(option.name, "another")
    monkeypatch.setenv(f"{option.name}_FILE", str(tmp_path / "file"))
    with pytest.raises(EnvError, match=f"{option.name} and {option.name}_FILE are both set"):
        option.read(Env())


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "can't be read"), (b" \n", "empty"), (b"\xff", "not UTF-8")]
)
def test_a_file_that_holds_no_secret_is_one_sentence_that_does_not_tell_it(
    content, reason, tmp_path
):
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    text = read_settings(["SECRET_KEY"], SECRET_KEY_FILE=str(file))
    assert text.startswith(f"A setting can't be read: SECRET_KEY_FILE names {file}")
    assert reason in text
    assert text.count("\n") == 1


def test_a_database_url_that_is_none_is_one_sentence_without_its_password():
    text = read_settings(["DEBUG"], SECRET_KEY=KEY, DATABASE_URL="mistake://ada:hidden@host/x")
    assert text.startswith("DATABASE_URL is not the URL of a database")
    assert "hidden" not in text
    assert text.count("\n") == 1


def test_other_options_have_no_files(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("true")
    monkeypatch.delenv("DEBUG", raising=False)
    monkeypatch.setenv("DEBUG_FILE", str(tmp_path / "file"))
    assert options.DEBUG.read(Env()) is False


def test_the_local_stack_takes_them_too(tmp_path, monkeypatch):
    (tmp_path / "url").write_text("redis://cache.example:6379/0\n")
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "url"))
    environ = {"REDIS_URL_FILE": str(tmp_path / "url")}
    options.take_files(environ)
    assert environ == {"REDIS_URL": "redis://cache.example:6379/0"}
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "none"))
    with pytest.raises(StackError, match="REDIS_URL_FILE names"):
        Stack()


def test_the_running_stack_s_address_does_not_come_before_a_named_file(tmp_path, monkeypatch):
    from config.environment import load_stack_environment

    (tmp_path / "env").write_text("REDIS_URL=redis://127.0.0.1:1/0\n")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "url"))
    load_stack_environment()
    import os

    assert "REDIS_URL" not in os.environ
