"""`python -m scripts.migrations`: whether each migration may run while the service goes on.

django-migration-linter reads the SQL of each (a column that old code does not know of and can't
fill, an index that locks out writers, a rename); each must have a way back too. The first ones of
an app are judged by the latter alone: they run before there is anybody. What is let through
nevertheless stands in REVIEWED, with the reason.
"""

from __future__ import annotations

import logging
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from config.stack.servers import LocalServers

ROOMS = (
    *("accounts", "archive", "audit", "chats", "common", "config", "groups"),
    *("messaging", "moderation", "overview"),
)
# (app, migration): why what the linter says of it does no harm.
_RUNS_ALONE = "No request writes to these tables: a run of the archive waits, nobody else."
REVIEWED: dict[tuple[str, str], str] = {
    ("archive", "0002_backups_exports_erased_texts"): _RUNS_ALONE,
    ("archive", "0003_runs_from_the_admin"): _RUNS_ALONE,
}


def lint() -> list[str]:
    """Return what is wrong, one sentence each."""
    import django  # noqa: PLC0415 - needs the settings

    django.setup()
    logging.disable(logging.INFO)
    from django.conf import settings  # noqa: PLC0415
    from django_migration_linter import MigrationLinter  # noqa: PLC0415

    class Collecting(MigrationLinter):
        """Keeps what it finds instead of printing it."""

        def print_errors(self, errors: list[Any]) -> None:
            self.issues = errors

    apps = [app for app in settings.INSTALLED_APPS if app in ROOMS]
    linter = Collecting(
        path=str(settings.BASE_DIR),
        include_apps=apps,
        no_cache=True,
        no_output=True,
        analyser_string="postgresql",
        all_warnings_as_errors=True,
        # A change of data that a later migration of schema needs is reviewed by its tests.
        exclude_migration_tests=[
            "RUNPYTHON_MODEL_VARIABLE_NAME",
            "RUNPYTHON_ARGS_NAMING_CONVENTION",
        ],
    )
    found = []
    for (app, name), migration in sorted(linter.migration_loader.disk_migrations.items()):
        if app not in apps:
            continue
        found += [f"{app}.{name}: {text}" for text in without_way_back(migration)]
        if migration.initial or (app, name) in REVIEWED:
            continue
        linter.issues = []
        linter.lint_migration(migration)
        found += [f"{app}.{name}: {issue.code}: {issue.message}" for issue in linter.issues]
    return found


def without_way_back(migration: Any) -> list[str]:
    """Return what a migration does that it can't undo."""
    return [
        f"{operation.describe()} has no way back"
        for operation in migration.operations
        if not operation.reversible
    ]


def main() -> int:
    """Start a database, lint, stop it; return the exit status."""
    folder = Path(tempfile.mkdtemp(prefix="strata-migrations-"))
    folder.chmod(0o711)
    servers = LocalServers(folder / "servers", ["postgres"])
    try:
        servers.start()
        os.environ |= {
            **servers.environment(),
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "SECRET_KEY": "for-the-linter-only-" * 4,
            "ARCHIVE_KEY": "for-the-linter-only-" * 4,
            "DB_TRANSACTION_TIMEOUT_MS": "0",
        }
        found = lint()
    finally:
        servers.stop()
        shutil.rmtree(folder, ignore_errors=True)
    for line in found:
        print(line, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
