"""`python -m scripts.audit`: known vulnerabilities in what is pinned.

pip-audit asks the advisory service about each pinned requirement. A finding fails. A service that
can't be reached, or that knows nothing of a package, is no all-clear: that is said loudly, and
fails only with AUDIT_STRICT=1, since a build must not depend on somebody else's server.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 60


@dataclass(slots=True)
class Audit:
    """What came of asking about one file."""

    findings: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    asked: int = 0
    failure: str = ""


def read(report: str) -> Audit:
    """Return what pip-audit's JSON says."""
    audit = Audit()
    for package in json.loads(report)["dependencies"]:
        audit.asked += 1
        if "skip_reason" in package:
            audit.unknown.append(package["name"])
        for one in package.get("vulns", ()):
            fixed = ", ".join(one["fix_versions"]) or "no version yet"
            audit.findings.append(
                f"{package['name']} {package['version']}: {one['id']}, mended in {fixed}"
            )
    return audit


def files(folder: Path = FOLDER) -> list[str]:
    """Return the names of all files in which requirements are pinned."""
    return sorted(path.name for path in folder.glob("requirements*.txt"))


def ask(file: str) -> Audit:
    """Ask about a requirements file."""
    command = [
        *(sys.executable, "-m", "pip_audit", "--requirement", file, "--require-hashes"),
        *("--disable-pip", "--progress-spinner", "off", "--format", "json", "--timeout", "10"),
    ]
    try:
        done = subprocess.run(
            command,
            cwd=FOLDER,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Audit(failure=f"no answer in {PATIENCE_SECONDS} s")
    try:
        return read(done.stdout)
    except (json.JSONDecodeError, KeyError):
        return Audit(failure=(done.stderr.strip().splitlines() or ["no answer"])[-1])


def judge(audits: dict[str, Audit], *, strict: bool) -> tuple[int, list[str]]:
    """Return the exit status and what to say."""
    said: list[str] = []
    findings = [finding for audit in audits.values() for finding in audit.findings]
    said += [f"VULNERABLE: {finding}" for finding in findings]
    unsure = False
    for file, audit in audits.items():
        if audit.failure:
            said.append(f"NOT AUDITED: {file}: the advisory service gave {audit.failure}")
            unsure = True
        elif audit.unknown:
            count = len(audit.unknown)
            said.append(
                f"NOT AUDITED: {count} of {audit.asked} packages of {file}: the advisory service "
                "knows nothing of them, or can't be reached from here"
            )
            unsure = True
        else:
            said.append(f"{file}: {audit.asked} packages, no known vulnerability")
    if unsure:
        said.append(
            "This is no all-clear. Run `make audit` where the advisory service can be reached; "
            "AUDIT_STRICT=1 makes it an error."
        )
    return 1 if findings or (unsure and strict) else 0, said


def main() -> int:
    """Ask about all files; return the exit status."""
    status, said = judge(
        {file: ask(file) for file in files()}, strict=os.environ.get("AUDIT_STRICT") == "1"
    )
    print("\n".join(said), file=sys.stderr if status else sys.stdout)
    return status


if __name__ == "__main__":
    sys.exit(main())
