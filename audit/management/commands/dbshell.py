"""`manage.py dbshell`: Django's, with an entry in the audit log."""

from django.core.management.commands import dbshell

from audit.commands import Recorded


class Command(Recorded, dbshell.Command):
    """Does as Django's, recorded."""
