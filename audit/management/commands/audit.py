"""`manage.py audit`: checks the audit log's chain."""

import argparse
import sys
from datetime import UTC, datetime
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandParser

from audit.anchors import seen
from audit.chain import Head, Verdict, lost_heads, newest, verify, went_back_at
from common.errors import Unavailable


def head_argument(text: str) -> Head:
    """Return the head that `17:9f86d0…` names."""
    number, _, digest = text.partition(":")
    try:
        head = Head(int(number), bytes.fromhex(digest))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no head; give an entry's number, a colon and its hash"
        ) from error
    return head


def moment_argument(text: str) -> datetime:
    """Return the moment that `2026-11-24T03:00:00` names, UTC."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; give one such as 2026-11-24T03:00:00 (UTC)"
        ) from error


class Command(BaseCommand):
    """Check."""

    help = (
        "Check that every entry of the audit log is what was written and that none is missing. "
        "Exits 0 when all is right, 1 with the first entry that is not, 2 on wrong use."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to do."""
        parser.add_argument("--verify", action="store_true", help="check the whole chain")
        parser.add_argument("--head", action="store_true", help="print how far the log has got")
        parser.add_argument(
            "--expect",
            type=head_argument,
            action="append",
            default=[],
            metavar="NUMBER:HASH",
            help="an entry seen before (in the log or in a snapshot) that must still be there",
        )
        parser.add_argument(
            "--since",
            type=moment_argument,
            metavar="TIME",
            help="ask nothing of what the bucket was told before then (UTC, "
            "2026-11-24T03:00:00): after a restore the log begins anew",
        )
        parser.add_argument(
            "--database-only",
            action="store_true",
            help="do not ask the bucket what it was told: an end that was cut off is not noticed",
        )
        parser.add_argument("--json", action="store_true", help="print the answer as one JSON line")

    def handle(self, *args: Any, **options: Any) -> None:
        """Check."""
        if options["verify"] == options["head"]:
            self.stderr.write("audit: give --verify or --head.")
            sys.exit(2)
        if options["head"]:
            head = newest()
            self.stdout.write(f"{head.id}:{head.hash.hex()}")
            return
        verdict, anchors = self._verify(options)
        report = {
            "command": "audit",
            "ok": verdict.broken is None,
            "entries": verdict.entries,
            "anchors": anchors,
            "head": f"{verdict.head.id}:{verdict.head.hash.hex()}",
            "broken": verdict.broken,
            "fault": verdict.fault,
        }
        if options["json"]:
            self.stdout.write(orjson.dumps(report).decode())
        elif verdict.broken is None:
            self.stdout.write(
                f"All {verdict.entries} entries are right, up to {report['head']}; "
                f"{anchors} heads seen before are among them."
            )
        else:
            self.stdout.write(f"BROKEN: {verdict.fault}. {verdict.entries} before it are right.")
        if verdict.broken is not None:
            sys.exit(1)

    def _verify(self, options: dict[str, Any]) -> tuple[Verdict, int]:
        """Check against what was seen before; return what was found, and how many heads that is."""
        expected: list[Head] = list(options["expect"])
        if not options["database_only"]:
            try:
                told = seen()
            except Unavailable as error:
                self.stderr.write(f"audit: what the bucket was told can't be read: {error.detail}")
                sys.exit(1)
            since = options["since"]
            expected += [head for head in told if not since or (head.at and head.at >= since)]
        lost = lost_heads(expected)
        if lost:
            # Standard error, so that --json stays one line.
            self.stderr.write(
                f"audit: {len(lost)} heads seen before are of what was lost when the database went "
                f"back in time, as entry {went_back_at(lost[0])} says; nobody is shown to have cut "
                "them off."
            )
        expected = [head for head in expected if head not in lost]
        return verify(expected), len(expected)
