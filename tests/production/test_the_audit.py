"""What is said of known vulnerabilities: a finding fails, no answer is no all-clear."""

from __future__ import annotations

import json
import re
import subprocess

from config.options import BASE_DIR
from scripts import sbom
from scripts.audit import Audit, files, judge, read

REPORT = {
    "dependencies": [
        {"name": "good", "version": "1.0", "vulns": []},
        {
            "name": "bad",
            "version": "2.0",
            "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1"], "description": ""}],
        },
        {"name": "unheard-of", "skip_reason": "could not be audited"},
    ]
}


def test_a_report_is_read():
    audit = read(json.dumps(REPORT))
    assert audit.asked == 3
    assert audit.findings == ["bad 2.0: PYSEC-1, mended in 2.1"]
    assert audit.unknown == ["unheard-of"]


def test_a_finding_fails_whatever_else():
    status, said = judge({"r": Audit(findings=["bad 2.0: PYSEC-1, mended in 2.1"])}, strict=False)
    assert status == 1
    assert said[0] == "VULNERABLE: bad 2.0: PYSEC-1, mended in 2.1"


def test_no_answer_is_said_loudly_and_fails_only_where_that_is_asked_for():
    for audit in (Audit(failure="no answer"), Audit(unknown=["x"], asked=1)):
        status, said = judge({"r": audit}, strict=False)
        assert status == 0
        assert said[0].startswith("NOT AUDITED: ")
        assert "no all-clear" in said[-1]
        assert judge({"r": audit}, strict=True)[0] == 1


def test_all_known_and_nothing_found_is_an_all_clear():
    status, said = judge({"r": Audit(asked=2)}, strict=True)
    assert (status, said) == (0, ["r: 2 packages, no known vulnerability"])


def test_the_bill_of_materials_is_whole_and_twice_the_same():
    text = sbom.bill()
    assert sbom.problem(text) == ""
    assert sbom.bill() == text
    found = json.loads(text)
    found["components"].pop(0)
    assert sbom.problem(json.dumps(found)).startswith("it leaves out")
    found["components"][0]["type"] = "nonsense"
    assert "is not CycloneDX" in sbom.problem(json.dumps(found))


def test_every_file_of_requirements_is_asked_about(tmp_path):
    asked = set(files())
    # Wherever one lies, and whatever it is compiled from.
    known = {path.relative_to(BASE_DIR) for path in tracked("*requirements*.txt")}
    assert {path.as_posix() for path in known} == asked
    sources = {path.with_suffix(".txt").name for path in tracked("*requirements*.in")}
    assert sources == asked
    makefile = (BASE_DIR / "Makefile").read_text(encoding="utf-8")
    compiled = re.search(r"for name in ([^;]+);", makefile)
    assert compiled
    assert {f"{name}.txt" for name in compiled[1].split()} == asked
    assert len(asked) > 2

    (tmp_path / "requirements-new.txt").touch()
    assert files(tmp_path) == ["requirements-new.txt"]


def tracked(pattern):
    done = subprocess.run(
        ["git", "ls-files", "-z", "--", pattern],
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    return [BASE_DIR / name for name in done.stdout.split("\0") if name]
