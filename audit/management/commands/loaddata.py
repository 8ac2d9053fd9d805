"""`manage.py loaddata`: Django's, with an entry in the audit log."""

from django.core.management.commands import loaddata

from audit.commands import Recorded


class Command(Recorded, loaddata.Command):
    """Does as Django's, recorded."""
