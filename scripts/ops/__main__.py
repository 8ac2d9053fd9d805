"""Check that dashboard and rules parse and name only what /metrics has.

    python -m scripts.ops

Every expression is read by a parser of PromQL; every metric in it must be one that the service
tells or a rule records; labels must be those that the metric has, and values those that it can
have where they are known; every alert must have a severity, a summary and a runbook that exists.
"""

from __future__ import annotations

import os
import sys

import django


def main() -> int:
    """Say what is wrong; return how it went."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    from scripts.ops.check import problems  # noqa: PLC0415 - models are imported with it

    found = problems()
    for problem in found:
        sys.stderr.write(f"{problem}\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
