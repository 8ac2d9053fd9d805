"""The files of `ops/`: units that start what there is, settings that are settings, one set of secrets."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess

import pytest
import yaml

from config import options
from config.options import BASE_DIR
from config.process import NAMES

UNITS = sorted((BASE_DIR / "ops" / "systemd").glob("*.service"))
# Not ours: of the C library, of Python.
OTHERS = {"MALLOC_ARENA_MAX", "PYTHONUNBUFFERED"}
KNOWN = {option.name for section in options.SECTIONS.values() for option in section}
SECRETS = {
    f"{option.name}_FILE"
    for section in options.SECTIONS.values()
    for option in section
    if option.secret
}


@pytest.mark.parametrize("file", UNITS, ids=lambda file: file.name)
def test_a_unit_starts_what_there_is(file):
    (line,) = re.findall(r"^ExecStart=(.+)$", file.read_text(), re.MULTILINE)
    start = line.split()
    if start[0].endswith("bin/python"):
        assert start[1:3] == ["-m", "config.process"]
        assert start[3] in NAMES
    else:
        assert start[0].endswith("ops/local-server")
        assert f"\n{start[1]})\n" in (BASE_DIR / "ops" / "local-server").read_text()


@pytest.mark.parametrize("file", UNITS, ids=lambda file: file.name)
def test_a_unit_is_confined_and_waits_for_an_orderly_stop(file):
    values = dict(
        line.split("=", 1)
        for line in file.read_text().splitlines()
        if "=" in line and not line.startswith("#")
    )
    assert values["User"] == "strata"
    assert values["NoNewPrivileges"] == "yes"
    assert values["ProtectSystem"] == "strict"
    if "config.process web" in values["ExecStart"] or "worker" in values["ExecStart"]:
        assert values["KillMode"] == "mixed"
        assert int(values["TimeoutStopSec"]) > 3 + 20


@pytest.mark.skipif(os.geteuid() != 0, reason="root alone gives up being root")
def test_where_there_is_no_systemd_a_unit_keeps_what_it_may_do_without_being_root(tmp_path):
    # The proxy listens on port 443 as an ordinary user.
    (tmp_path / "ops" / "systemd").mkdir(parents=True)
    tmp_path.chmod(0o711)
    shutil.copy(BASE_DIR / "ops" / "run-units", tmp_path / "ops")
    (tmp_path / "ops" / "systemd" / "one.service").write_text(
        "[Service]\nUser=nobody\nWorkingDirectory=/\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n"
        "ExecStart=/bin/cat /proc/self/status\nRestartSec=60\n"
    )
    command = [tmp_path / "ops" / "run-units", "--root", tmp_path, "one.service"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert running.stdout is not None
    try:
        said = iter(
            running.stdout.readline, "run-units: one.service ended (0); it starts again in 60 s\n"
        )
        status = dict(line.split(":", 1) for line in said if ":\t" in line)
    finally:
        running.terminate()
        running.wait(30)
    assert set(status["Uid"].split()) == {str(pwd.getpwnam("nobody").pw_uid)}
    assert status["Groups"].split() == []
    # Bit 10, and no other.
    assert int(status["CapEff"], 16) == int(status["CapAmb"], 16) == 1 << 10


@pytest.mark.parametrize("below", ["", "below"])
def test_commands_have_the_settings_of_the_units_below_another_root_too(tmp_path, below):
    root = tmp_path / below
    secret = root / "etc" / "strata" / "secrets" / "secret_key"
    secret.parent.mkdir(parents=True)
    secret.write_text("s" * 20 + "-0123456789-" * 4)
    text = (BASE_DIR / "ops" / "systemd" / "strata.env").read_text()
    others = "".join(
        line
        for line in text.splitlines(keepends=True)
        if "_FILE=" not in line or "SECRET_KEY" in line
    )
    (secret.parent.parent / "strata.env").write_text(others)
    code = "from django.conf import settings; print(settings.SECRET_KEY, settings.ALLOWED_HOSTS)"
    done = subprocess.run(
        [BASE_DIR / "ops" / "manage", "shell", "--no-imports", "-c", code],
        env={"PATH": os.environ["PATH"], "STRATA_ROOT": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == f"{secret.read_text()} ['chat.example']\n", done.stderr


def names_in(text):
    return set(re.findall(r"^([A-Z0-9_]+)=", text, re.MULTILINE))


def test_the_units_settings_are_settings():
    for name in names_in((BASE_DIR / "ops" / "systemd" / "strata.env").read_text()) - OTHERS:
        assert name in KNOWN | SECRETS, name


def test_the_compose_file_s_settings_are_settings_and_its_secrets_are_made(tmp_path):
    services = yaml.safe_load((BASE_DIR / "compose.yaml").read_text())["services"]
    named = set()
    for name in (
        "proxy-configuration",
        "web-1",
        "web-2",
        "worker",
        "beat",
        "sweeper",
        "migrate",
        "bucket",
    ):
        service = services[name]
        assert service["command"][0] in NAMES or name == "proxy-configuration"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in service["security_opt"]
        assert set(service["environment"]) <= KNOWN | SECRETS
        named |= {
            value.removeprefix("/run/secrets/")
            for key, value in service["environment"].items()
            if key in SECRETS
        }
    assert all("limits" in service["deploy"]["resources"] for service in services.values())
    assert all(":" in service["image"] for service in services.values())
    made = tmp_path / "secrets"
    subprocess.run([BASE_DIR / "ops" / "make-secrets", made], check=True, capture_output=True)
    files = {file.name for file in made.iterdir()}
    declared = yaml.safe_load((BASE_DIR / "compose.yaml").read_text())["secrets"]
    assert named <= set(declared) == files


def test_secrets_are_made_once_and_kept_from_others(tmp_path):
    folder = tmp_path / "secrets"

    def make():
        subprocess.run([BASE_DIR / "ops" / "make-secrets", folder], check=True, capture_output=True)
        return {file.name: file.read_text() for file in folder.iterdir()}

    first = make()
    assert make() == first
    assert folder.stat().st_mode & 0o777 == 0o700
    assert options.secret_key_problem(first["secret_key"].strip()) == ""
    assert len(set(first.values())) == len(first)
    assert os.access(folder / "secret_key", os.R_OK)
