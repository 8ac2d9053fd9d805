"""OpenTelemetry traces, for whoever sets OTEL_EXPORTER_OTLP_ENDPOINT; see docs/watching.md.

Otherwise this module is not loaded (`config/traced.py` looks), and nothing is asked on any path:
what is traced is wrapped when a process starts. A span is named for what is done and holds no
parameter, key, text or token. What happens outside of a request, task or command is not traced, so
that sweeps and probes are no traces of one span each.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import wraps
from typing import Any

from celery import signals
from django.conf import settings
from django.db import connections
from django.db.backends.signals import connection_created
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from opentelemetry import context as otel
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from common import cache, context, sql
from config.counting import CountingHandler
from config.requests import NO_ROUTE

tracer = trace.get_tracer("strata")
FLUSH_MS = 2000
SERVER_ERROR = 500
_under_way: dict[str, tuple[contextlib.ExitStack, trace.Span]] = {}


def start(process: str) -> None:
    """Have this process send what it does to the collector that the environment names."""
    about = {"service.name": "strata", "service.version": settings.SPECTACULAR_SETTINGS["VERSION"]}
    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES come on top.
    resource = Resource.create(about | {"strata.process": process})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    context.trace_id = _trace_id
    _trace_requests()
    _trace_cache()
    _trace_database()
    _trace_object_store()
    _trace_threads()
    _trace_tasks(provider)


def _trace_id() -> str:
    """Return the present trace's id for a line of the log; empty outside of one."""
    found = trace.get_current_span().get_span_context()
    return trace.format_trace_id(found.trace_id) if found.is_valid else ""


@contextlib.contextmanager
def step(name: str, attributes: Mapping[str, Any]) -> Iterator[None]:
    """Trace a call to what we depend on, as part of what is being traced, if anything is."""
    if not trace.get_current_span().get_span_context().is_valid:
        yield
        return
    with tracer.start_as_current_span(
        name, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False,
        set_status_on_exception=False,
    ) as span:  # fmt: skip
        try:
            yield
        except Exception as error:
            # The kind alone: what it says may hold a row.
            span.set_status(StatusCode.ERROR, type(error).__name__)
            raise


@contextlib.contextmanager
def work(name: str, attributes: Mapping[str, Any]) -> Iterator[None]:
    """Trace a piece of work that nobody sent: a command."""
    with tracer.start_as_current_span(name, attributes=attributes, record_exception=False):
        yield


def _trace_requests() -> None:
    inner = CountingHandler.get_response

    @wraps(inner)
    def get_response(self: CountingHandler, request: HttpRequest) -> HttpResponseBase:
        sent = {
            name: value
            for name in ("traceparent", "tracestate")
            if (value := request.META.get(f"HTTP_{name.upper()}"))
        }
        with tracer.start_as_current_span(
            "request", context=propagate.extract(sent), kind=SpanKind.SERVER
        ) as span:
            response = inner(self, request)
            match = request.resolver_match
            span.update_name(f"{request.method} {(match and match.view_name) or NO_ROUTE}")
            span.set_attributes(
                {
                    "http.request.method": request.method or "",
                    "http.route": match.route if match else "",
                    "http.response.status_code": response.status_code,
                    "strata.request_id": request.request_id,  # type: ignore[attr-defined]
                }
            )
            if response.status_code >= SERVER_ERROR:
                span.set_status(StatusCode.ERROR)
            return response

    CountingHandler.get_response = get_response  # type: ignore[method-assign]


def _trace_cache() -> None:
    inner = cache.Cache._exchange  # noqa: SLF001 - every round trip goes through it

    @wraps(inner)
    def exchange(self: cache.Cache, packed: bytes, replies: int) -> list[Any]:
        name = cache.command_name(packed)
        with step(f"cache {name}", {"db.system.name": "redis", "db.operation.name": name}):
            return inner(self, packed, replies)

    cache.Cache._exchange = exchange  # type: ignore[method-assign]  # noqa: SLF001


def _trace_database() -> None:
    def execute(
        inner: Callable[..., Any], statement: str, params: Any, many: bool, about: Any
    ) -> Any:
        name = sql.shown(statement)
        about = {"db.system.name": "postgresql", "db.query.text": name}
        with step(f"db {name}" if " " not in name else f"db {name.partition(' ')[0]}", about):
            return inner(statement, params, many, about)

    def wrap(connection: Any, **kwargs: Any) -> None:
        if execute not in connection.execute_wrappers:
            connection.execute_wrappers.append(execute)

    connection_created.connect(wrap, weak=False)
    wrap(connections["default"])


def _trace_object_store() -> None:
    from botocore.client import BaseClient  # noqa: PLC0415 - 17 MB, which untraced webs do without

    inner = BaseClient._make_api_call  # type: ignore[attr-defined]  # noqa: SLF001

    @wraps(inner)
    def call(self: Any, operation: str, parameters: Any) -> Any:
        with step(f"S3 {operation}", {"rpc.system": "aws-api", "rpc.method": operation}):
            return inner(self, operation, parameters)

    BaseClient._make_api_call = call  # type: ignore[attr-defined]  # noqa: SLF001


def _trace_threads() -> None:
    """Have what a pool's threads do belong to whoever gave it to them."""
    inner = ThreadPoolExecutor.submit

    def submit(
        self: ThreadPoolExecutor, act: Callable[..., Any], /, *args: Any, **kwargs: Any
    ) -> Future[Any]:
        here = otel.get_current()

        def there(*args: Any, **kwargs: Any) -> Any:
            token = otel.attach(here)
            try:
                return act(*args, **kwargs)
            finally:
                otel.detach(token)

        return inner(self, there, *args, **kwargs)

    ThreadPoolExecutor.submit = submit  # type: ignore[assignment, method-assign]


def _trace_tasks(provider: TracerProvider) -> None:
    def on_publish(headers: dict[str, Any] | None = None, **kwargs: Any) -> None:
        if headers is not None:
            propagate.inject(headers)

    def on_start(task: Any = None, task_id: str = "", **kwargs: Any) -> None:
        sent = {
            name: value
            for name in ("traceparent", "tracestate")
            if (value := getattr(task.request, name, None))
        }
        stack = contextlib.ExitStack()
        span = stack.enter_context(
            tracer.start_as_current_span(
                f"task {task.name}",
                context=propagate.extract(sent),
                kind=SpanKind.CONSUMER,
                attributes={"strata.task": task.name, "strata.task_id": task_id},
            )
        )
        _under_way[task_id] = stack, span

    def on_end(task_id: str = "", state: str | None = None, **kwargs: Any) -> None:
        stack, span = _under_way.pop(task_id, (None, None))
        if stack is not None and span is not None:
            if state != "SUCCESS":
                span.set_status(StatusCode.ERROR, state)
            stack.close()

    def on_exit(**kwargs: Any) -> None:
        provider.force_flush(FLUSH_MS)

    signals.before_task_publish.connect(on_publish, weak=False)
    signals.task_prerun.connect(on_start, weak=False)
    signals.task_postrun.connect(on_end, weak=False)
    signals.worker_process_shutdown.connect(on_exit, weak=False)
