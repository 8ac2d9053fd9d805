#!/usr/bin/env python
"""Django's commands, on the servers of `make run` unless the environment names others."""

import os
import sys

# Commands that may hold a transaction longer than a request may.
LONG_COMMANDS = frozenset({"migrate", "dbshell", "restore", "drill", "flush"})


def main() -> None:
    """Run one command."""
    try:
        from django.core.management import execute_from_command_line  # noqa: PLC0415

        from common import context  # noqa: PLC0415
        from config import traced  # noqa: PLC0415
        from config.environment import load_stack_environment  # noqa: PLC0415
    except ImportError as error:
        sys.exit(f"{error}: run `make install`, and this with .venv/bin/python.")
    load_stack_environment()
    # Whatever a command logs, in whichever thread, is known by it.
    context.process |= {"command": " ".join(sys.argv[1:2]), "run_id": context.new_id()}
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if len(sys.argv) > 1 and sys.argv[1] in LONG_COMMANDS:
        # Whatever is set for requests: a chat comes back in one transaction, however long it is.
        os.environ["DB_TRANSACTION_TIMEOUT_MS"] = "0"
    if sys.argv[1:2] == ["migrate"]:
        # Shorter than a request waits, so that none fails behind it.
        os.environ.setdefault("DB_LOCK_TIMEOUT_MS", "3000")
    with traced.command("".join(sys.argv[1:2])):
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
