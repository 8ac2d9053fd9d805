"""App config."""

from django.apps import AppConfig


class GroupsConfig(AppConfig):
    """Groups: members, roles, messages to a group."""

    name = "groups"
