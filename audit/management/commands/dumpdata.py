"""`manage.py dumpdata`: Django's, with an entry in the audit log."""

from django.core.management.commands import dumpdata

from audit.commands import Recorded


class Command(Recorded, dumpdata.Command):
    """Does as Django's, recorded."""
