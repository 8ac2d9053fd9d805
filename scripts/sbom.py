"""`python -m scripts.sbom`: a bill of what the server is made of, in CycloneDX JSON, checked.

Made from the pinned requirements with their hashes, so it says what an image holds whatever this
machine has installed; written to build/sbom.json, twice the same for the same requirements.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

CHECKOUT = Path(__file__).resolve().parent.parent
FILE = CHECKOUT / "build" / "sbom.json"
VERSION = "1.6"


def bill() -> str:
    """Return the bill."""
    command = [
        *(sys.executable, "-m", "cyclonedx_py", "requirements", "requirements.txt"),
        *("--pyproject", "pyproject.toml", "--mc-type", "application"),
        *("--output-reproducible", "--spec-version", VERSION, "--output-format", "JSON"),
    ]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    return done.stdout


def problem(text: str) -> str:
    """Return what the bill lacks, an empty text when it is whole."""
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if error is not None:
        return f"it is not CycloneDX {VERSION}: {error}"
    found: dict[str, Any] = json.loads(text)
    components = {part["name"].lower(): part for part in found["components"]}
    pinned = [
        line.partition("==")[0].partition("[")[0].lower()
        for line in (CHECKOUT / "requirements.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line and not line.startswith((" ", "#"))
    ]
    missing = [name for name in pinned if name not in components]
    if missing:
        return f"it leaves out {', '.join(missing)}"
    bare = [name for name in pinned if not components[name].get("purl")]
    return f"it does not identify {', '.join(bare)}" if bare else ""


def main() -> int:
    """Write and check it; return the exit status."""
    text = bill()
    if found := problem(text):
        sys.stderr.write(f"The bill of materials is not good: {found}\n")
        return 1
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text, encoding="utf-8")
    count = len(json.loads(text)["components"])
    sys.stdout.write(f"{FILE.relative_to(CHECKOUT)}: {count} components, CycloneDX {VERSION}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
