"""What the routes of moderation take and give."""

from typing import Any

from rest_framework import serializers

from common.fields import StrictChoiceField, StrictIntegerField, StrictUUIDField
from common.samples import ADA, AT, CHAT, sample
from messaging.sending import TextField
from moderation.models import Kind, Reason, Report, State

SEQ_MAX = 2**63 - 1


class _CommentField(TextField):
    """What a reporter adds in words: a text byte for byte, or nothing where nothing is said."""

    def run_validation(self, data: Any = serializers.empty) -> Any:
        """Validate as a text; an empty one, or white space alone, is none."""
        if isinstance(data, str) and not data.strip():
            return None
        return super().run_validation(data)


class _WhySerializer(serializers.Serializer[Any]):
    """Why something is reported."""

    reason = StrictChoiceField(
        choices=Reason.choices,
        help_text="What is wrong with it.",
        error_messages={
            "invalid_choice": '"{input}" is no reason; these are: ' + ", ".join(Reason.values) + "."
        },
    )
    comment = _CommentField(
        required=False,
        allow_null=True,
        allow_blank=True,
        default=None,
        help_text="What moderators should know; an empty one is none.",
    )


class ReportMessageSerializer(_WhySerializer):
    """A message to report."""

    chat_id = StrictUUIDField(help_text="The chat that it stands in.")
    seq = StrictIntegerField(min_value=1, max_value=SEQ_MAX, help_text="Its place there.")


class ReportUserSerializer(_WhySerializer):
    """A user to report."""

    user_id = StrictUUIDField(help_text="Who is reported.")


@sample(
    {
        "report_id": "01980f44-0d3e-7f11-a0de-0123456789ab",
        "kind": "message",
        "user_id": ADA,
        "chat_id": CHAT,
        "seq": 1,
        "reason": "spam",
        "comment": None,
        "state": "open",
        "created_at": AT,
    }
)
class ReportSerializer(serializers.ModelSerializer[Report]):
    """A report as whoever made it sees it: no moderator and no other reporter is in it."""

    report_id = StrictUUIDField(source="id")
    kind = serializers.ChoiceField(source="case.kind", choices=Kind.choices)
    user_id = StrictUUIDField(source="case.user_id", help_text="Who is reported.")
    chat_id = StrictUUIDField(source="case.chat_id", allow_null=True)
    seq = serializers.IntegerField(source="case.seq", allow_null=True)
    reason = serializers.ChoiceField(choices=Reason.choices)
    comment = serializers.CharField(allow_null=True, help_text="Byte for byte as it was sent.")
    state = serializers.ChoiceField(
        source="case.state", choices=State.choices, help_text="How far the moderators are."
    )
    created_at = serializers.DateTimeField()

    class Meta:
        model = Report
        fields = (
            "report_id", "kind", "user_id", "chat_id", "seq", "reason", "comment", "state",
            "created_at",
        )  # fmt: skip
