"""`manage.py createsuperuser`: Django's, with an entry in the audit log."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser

from accounts.models import User
from audit.models import Action
from audit.services import record


class Command(createsuperuser.Command):
    """Creates a superuser and records it, with the system's user who did."""

    def handle(self, *args: Any, **options: Any) -> None:
        """Do as Django does; it asks on the way, so no transaction is open meanwhile."""
        superusers = User.objects.filter(is_superuser=True)
        before = set(superusers.values_list("pk", flat=True))
        super().handle(*args, **options)
        for user in superusers.exclude(pk__in=before):
            record(Action.CREATE_USER, target=user, after={"superuser": True})
