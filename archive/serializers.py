"""What the routes of the archive take and give."""

from typing import Any

from rest_framework import serializers

from archive.hours import hour_from, hour_path
from archive.models import Export, HourObject
from common.fields import QueryIntegerField, StrictUUIDField
from common.samples import AT, CHAT, sample
from common.times import RFC3339


class ArchiveQuerySerializer(serializers.Serializer[Any]):
    """Which of the caller's objects to list."""

    year = QueryIntegerField(required=False, min_value=1970, max_value=9998)
    day = QueryIntegerField(
        required=False, min_value=1, max_value=366, help_text="Of the year; needs `year`."
    )
    hour = QueryIntegerField(
        required=False, min_value=0, max_value=23, help_text="UTC; needs `day`."
    )
    chat_id = StrictUUIDField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse a part of a date without the rest."""
        if ("day" in attrs and "year" not in attrs) or ("hour" in attrs and "day" not in attrs):
            raise serializers.ValidationError("An hour needs its day, and a day its year.")
        return attrs


@sample(
    {
        "path": f"2026/328/08/{CHAT}/",
        "hour": "2026-11-24T08:00:00.000000Z",
        "chat_id": CHAT,
        "first_seq": 1,
        "last_seq": 1,
        "count": 1,
        "size": 231,
        "sha256": "5f3a0b6c1d" * 6 + "9e2b",
    }
)
class HourObjectSerializer(serializers.Serializer[Any]):
    """One object of the caller's archive: their messages of one chat and hour."""

    path = serializers.SerializerMethodField(help_text="Where to get it, below `/archive/`.")
    hour = serializers.DateTimeField(format=RFC3339, help_text="When the hour began.")
    chat_id = StrictUUIDField()
    first_seq = serializers.IntegerField()
    last_seq = serializers.IntegerField()
    count = serializers.IntegerField(help_text="How many messages it holds.")
    size = serializers.IntegerField(help_text="Bytes, packed.")
    sha256 = serializers.SerializerMethodField(help_text="Of the plain bytes.")

    def get_path(self, entry: HourObject) -> str:
        """Return the key without the caller's own id."""
        return f"{hour_path(hour_from(entry.segment.hour))}/{entry.segment.chat_id}/"

    def get_sha256(self, entry: HourObject) -> str:
        """Return the digest in hexadecimal."""
        return bytes(entry.sha256).hex()


@sample(
    {
        "export_id": "01980f42-9c10-7b44-8f2a-0123456789ab",
        "state": "ready",
        "messages": 1312,
        "total": 1312,
        "asked_at": AT,
        "finished_at": "2026-11-24T08:30:04.512000Z",
        "expires_at": "2026-11-25T08:30:04.512000Z",
        "size": 48213,
        "sha256": "5f3a0b6c1d" * 6 + "9e2b",
        "download": "/exports/01980f42-9c10-7b44-8f2a-0123456789ab/download/",
        "detail": "",
    }
)
class ExportSerializer(serializers.ModelSerializer[Export]):
    """An export of the caller's: how far it is, and where to get it."""

    export_id = StrictUUIDField(source="id")
    state = serializers.ChoiceField(choices=Export.State.choices)
    messages = serializers.IntegerField(help_text="Messages in it so far.")
    total = serializers.IntegerField(help_text="Messages that it will hold.")
    asked_at = serializers.DateTimeField(format=RFC3339)
    finished_at = serializers.DateTimeField(format=RFC3339, allow_null=True)
    expires_at = serializers.DateTimeField(
        format=RFC3339, allow_null=True, help_text="When it is deleted; null until it is ready."
    )
    size = serializers.IntegerField(allow_null=True, help_text="Bytes.")
    sha256 = serializers.SerializerMethodField(help_text="Of the ZIP.")
    download = serializers.SerializerMethodField(help_text="Where to get it; null until then.")
    detail = serializers.CharField(help_text="Why it failed, is tried again, or what it lacks.")

    class Meta:
        model = Export
        fields = (
            "export_id", "state", "messages", "total", "asked_at", "finished_at", "expires_at",
            "size", "sha256", "download", "detail",
        )  # fmt: skip

    def get_sha256(self, export: Export) -> str | None:
        """Return the digest in hexadecimal."""
        return bytes(export.sha256).hex() if export.sha256 else None

    def get_download(self, export: Export) -> str | None:
        """Return the path to download it from."""
        ready = export.state == Export.State.READY
        return f"/exports/{export.pk}/download/" if ready else None
