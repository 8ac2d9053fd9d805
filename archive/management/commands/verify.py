"""`manage.py verify`: reads objects and says which are not what was written."""

import argparse
from typing import Any

from django.core.management.base import CommandParser

from archive.commands import ArchiveCommand
from archive.verify import verify


def share(text: str) -> float:
    """Return the share that `1%` or `0.01` names."""
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = 0.0
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; give one such as 1% or 0.01")
    return value


class Command(ArchiveCommand):
    """Verify."""

    dry = False
    help = (
        "Read the objects of all hours and compare each with its key, what it says of itself, the "
        "index and who could see what. Ends with 1 when something is wrong."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take `--sample`, `--due` and `--repair`."""
        super().add_arguments(parser)
        parser.add_argument(
            "--sample", type=share, default=1.0, help="read this share of the objects, such as 1%%"
        )
        parser.add_argument(
            "--due",
            action="store_true",
            help="read the newest objects and what nobody has read for six days, as each night",
        )
        parser.add_argument(
            "--repair",
            action="store_true",
            help="write wrong ones again, from the database or from other members' copies",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Verify."""
        self.finish(
            lambda shower: verify(
                sample=options["sample"],
                due=options["due"],
                repair=options["repair"],
                shower=shower,
            ),
            as_json=options["json"],
        )
