"""Every number among the settings has a least and a largest, and is read by the one rule."""

import subprocess
import sys

import pytest
from environs import Env, EnvError

from config import options
from config.checks import check_positive

ODD = ["1.0", " 5", "\u0665", "1_0", "+5", "five"]


def numbers():
    return [
        option
        for section in options.SECTIONS.values()
        for option in section
        if option.kind == "int"
    ]


def test_every_setting_has_both_bounds(monkeypatch):
    env = Env()
    assert len(numbers()) > 40
    for option in numbers():
        highest = options.HIGHEST.get(option.unit, options.LARGEST)
        for text in (*ODD, "-1", str(highest + 1), "9" * 19):
            monkeypatch.setenv(option.name, text)
            with pytest.raises(EnvError, match=f"from 0 to {highest}"):
                option.read(env)
        monkeypatch.setenv(option.name, str(highest))
        assert option.read(env) == highest
        assert 0 <= option.default <= highest


def test_one_that_is_out_of_bounds_is_refused_in_one_sentence(tmp_path):
    done = subprocess.run(
        [sys.executable, "manage.py", "purge"],
        cwd=options.BASE_DIR,
        env={"PATH": "/usr/bin", "DATA_DIR": str(tmp_path), "ARCHIVE_RETENTION_DAYS": "99999999"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    assert (
        "ARCHIVE_RETENTION_DAYS is '99999999': give a whole number from 0 to 36500" in done.stderr
    )


def test_zero_days_of_retention_pass_the_checks(settings):
    settings.ARCHIVE_RETENTION_DAYS = 0
    assert not [one for one in check_positive(None) if "RETENTION" in one.msg]
