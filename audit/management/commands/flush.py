"""`manage.py flush`: Django's, with an entry in the audit log."""

from django.core.management.commands import flush

from audit.commands import Recorded


class Command(Recorded, flush.Command):
    """Does as Django's, recorded."""
