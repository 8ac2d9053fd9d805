"""What /readyz answers, for the OpenAPI document."""

from typing import Any

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from common.schema import ErrorsSerializer


class DependencySerializer(serializers.Serializer[Any]):
    """A dependency's state."""

    state = serializers.CharField(help_text="`ok`, `degraded` or `unavailable`")
    latency_ms = serializers.FloatField(required=False)
    age_seconds = serializers.FloatField(required=False)
    checked_seconds_ago = serializers.FloatField(required=False)
    ok_seconds_ago = serializers.FloatField(required=False)
    detail = serializers.CharField(required=False)


class ProcessSerializer(serializers.Serializer[Any]):
    """The state of a process that no request needs."""

    state = serializers.CharField(help_text="`ok` or `late`")
    age_seconds = serializers.FloatField(required=False)
    checked_seconds_ago = serializers.FloatField(required=False)
    detail = serializers.CharField(required=False)


class ReadinessSerializer(serializers.Serializer[Any]):
    """How everything is that this process depends on."""

    status = serializers.CharField(help_text="`ok`, `degraded` or `unavailable`")
    dependencies = serializers.DictField(child=DependencySerializer())
    processes = serializers.DictField(child=ProcessSerializer())


@extend_schema_serializer(component_name="NotReady")
class NotReadySerializer(ErrorsSerializer, ReadinessSerializer):
    """The same when the database is away, and what is wrong in the shape of every error."""
