"""What the routes of groups take and give."""

from typing import Any

from django.conf import settings
from rest_framework import serializers

from common.fields import StrictCharField, StrictChoiceField, StrictUUIDField, UUIDListField
from common.names import validate_name
from common.samples import ADA, AT, BOB, GROUP, sample
from messaging.models import NAME_MAX_CHARS, Membership
from messaging.sending import SendSerializer


class SendMessageToGroupSerializer(SendSerializer):
    """A text to a group."""

    group_id = StrictUUIDField(help_text="The group to write to; you must be a member.")


class CreateGroupSerializer(serializers.Serializer[Any]):
    """A new group."""

    name = StrictCharField(
        max_length=NAME_MAX_CHARS, validators=[validate_name], help_text="What the group is called."
    )
    member_ids = UUIDListField(
        required=False,
        allow_null=True,
        default=list,
        max_length=settings.GROUP_MAX_MEMBERS,
        help_text="Whom to put in at once, besides you.",
    )


class GroupMemberSerializer(serializers.Serializer[Any]):
    """A group and a user."""

    group_id = StrictUUIDField(help_text="The group.")
    user_id = StrictUUIDField(help_text="The user.")


class SetGroupRoleSerializer(GroupMemberSerializer):
    """A group, a user and what they are to be in it."""

    role = StrictChoiceField(
        choices=Membership.Role.choices, help_text="admin, member, or owner to hand it over."
    )


@sample(
    {
        "group_id": GROUP,
        "name": "Reading circle",
        "owner_id": ADA,
        "member_count": 2,
        "created_at": AT,
    }
)
class GroupSerializer(serializers.Serializer[Any]):
    """A group. Its id is that of its chat."""

    group_id = StrictUUIDField()
    name = serializers.CharField()
    owner_id = StrictUUIDField(
        allow_null=True, help_text="Null when everybody has left, or where it is not known."
    )
    member_count = serializers.IntegerField()
    created_at = serializers.DateTimeField()


@sample({"group_id": GROUP, "user_id": BOB, "role": "member", "joined_at": AT})
class MembershipSerializer(serializers.Serializer[Any]):
    """Who is in a group, as what, since when."""

    group_id = StrictUUIDField()
    user_id = StrictUUIDField()
    role = serializers.ChoiceField(choices=Membership.Role.choices)
    joined_at = serializers.DateTimeField()
