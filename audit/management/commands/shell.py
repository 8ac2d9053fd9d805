"""`manage.py shell`: Django's, with an entry in the audit log."""

from django.core.management.commands import shell

from audit.commands import Recorded


class Command(Recorded, shell.Command):
    """Does as Django's, recorded."""
