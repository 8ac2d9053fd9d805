"""The API's pages for people: what a route is, a form to try it with, and its answer.

No script: both forms are plain ones, and a click takes a whole id, which a style sheet can do too.
Nothing on a page comes from elsewhere, and its policy lets nothing in.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from django.conf import settings
from django.contrib.auth import get_user
from django.template import loader
from django.urls import NoReverseMatch, reverse
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from rest_framework import exceptions, renderers, serializers
from rest_framework.utils.breadcrumbs import get_breadcrumbs

from common.fields import StrictIntegerField, StrictUUIDField, UUIDListField
from common.ids import parse_id
from common.renderers import JSONRenderer, dumps
from common.words import is_long

POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
TABLE_BYTES = 128 * 1024
"""How much of their texts the rows of a list show, shared out evenly among them."""
ANSWER_BYTES = 128 * 1024
"""How much of any other answer a page shows."""
TEXT_BYTES = 32 * 1024
"""How much of one text in it."""
LEFT_OUT = mark_safe('<span class="faint">… the rest is left out on this page</span>')  # nosec B308 # a constant
REFUSED = 400
FAILED = 500
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


WORDS = {"text", "comment", "name", "display_name"}
"""What people write at some length."""


@dataclass(slots=True)
class FormField:
    """One field of a body, as the page describes it and asks for it."""

    name: str
    kind: str
    help: str
    required: bool
    widget: str
    choices: list[str] = field(default_factory=list)
    placeholder: str = ""
    value: str = ""
    errors: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Cell:
    """One value in a row of a list."""

    name: str
    kind: str
    shown: SafeString

    def td(self) -> SafeString:
        """Return it as a table has it; by hand, since a page has hundreds."""
        name = escape(self.name)
        more = f' tabindex="0" role="group" aria-label="{name}"' if "long" in self.kind else ""
        return mark_safe(  # noqa: S308  # nosec B308 # the kind is ours, the rest is escaped
            f'<td class="{self.kind}" data-name="{name}"><span{more}>{self.shown}</span></td>'
        )


class BrowsableAPIRenderer(renderers.BrowsableAPIRenderer):
    """A page of our own in place of DRF's; a verb's shows its form, any other what there is."""

    template = "common/browse.html"

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> str:
        """Return the page."""
        context = renderer_context or {}
        request, response = context["request"], context["response"]
        response["Content-Security-Policy"] = POLICY
        if response.status_code >= FAILED and isinstance(data, dict):
            # Who it is for would have to be asked of the very database that may be away.
            return loader.render_to_string(
                "common/error.html",
                {
                    "status": response.status_code,
                    "title": "Away for a moment",
                    "detail": " ".join(error["detail"] for error in data["errors"]),
                },
            )
        page = self.page(data, context["view"], request, response)
        page.update(context.get("page") or {})
        rendered: str = loader.get_template(self.template).render(page, request=request)
        if response.status_code == 204:  # noqa: PLR2004 - has no body, and here is one
            response.status_code = 200
        return rendered

    def page(self, data: Any, view: Any, request: Any, response: Any) -> dict[str, Any]:
        """Return what the template shows."""
        # Not by its class: importing views from here would be a circle.
        verb = hasattr(view, "sample")
        plain = None if data is None else orjson.loads(dumps(data))
        failed = response.status_code >= REFUSED
        errors = plain["errors"] if failed and isinstance(plain, dict) else []
        sent = verb and request.method == "POST"
        who = person(request)
        page = {
            "person": who,
            "may_send": verb and (who.is_authenticated or not view.authentication_classes),
            "name": request.path.strip("/") or view.get_view_name(),
            "method": "POST" if verb else request.method,
            "description": description(view),
            "crumbs": crumbs(request),
            "verb": verb,
            "failed": failed,
            "status": f"{response.status_code} {response.status_text}",
            "served_from": response.headers.get("X-Served-From"),
            "answer": None,
            "errors": errors,
            "json_link": f"{request.path}?{_with_format(request)}",
        }
        if verb:
            page |= self.forms(view, request, plain, errors)
        elif isinstance(plain, dict) and isinstance(plain.get("results"), list):
            # As a table alone: as JSON too it takes twice as long and twice as much room.
            page |= table(plain["results"], request)
            page |= {name: plain.get(name) for name in ("next", "previous")} | {"answer": ""}
            return page
        if sent or not verb or failed:
            page["answer"] = "" if plain is None else as_html(plain, request)
        return page

    def forms(
        self, view: Any, request: Any, plain: Any, errors: list[dict[str, Any]]
    ) -> dict[str, Any]:
        """Return a verb's two forms, filled with what was sent if that was refused."""
        sent = self.sent_data(request)
        raw = getattr(request, "raw_body", None)
        fields = [describe(*named) for named in view.get_serializer().fields.items()]
        # In the order in which one would say it.
        order = list(view.sample)
        fields.sort(
            key=lambda shown: order.index(shown.name) if shown.name in order else len(order)
        )
        for shown in fields:
            if shown.choices:
                # The sample's, lest the first be sent by who has not looked.
                shown.value = str(view.sample.get(shown.name, ""))
            if sent is not None and raw is None:
                shown.value = kept(shown, sent, plain, refused=bool(errors))
            shown.errors = [
                error["detail"]
                for error in errors
                if (error["attr"] or "").partition(".")[0] == shown.name
            ]
        sample = json.dumps(view.sample, indent=2, ensure_ascii=False)
        return {
            "fields": fields,
            "raw": raw if raw is not None and errors else sample,
            "raw_used": raw is not None,
            "curl": self.curl(view, request),
        }

    def sent_data(self, request: Any) -> Any:
        """Return the form that was sent, None where none was or it could not be read."""
        if request.method != "POST":
            return None
        try:
            data = request.data
        except (exceptions.APIException, ValueError):
            return None
        return data if hasattr(data, "getlist") else None

    def curl(self, view: Any, request: Any) -> str:
        """Return the command that does the same from a terminal."""
        lines = [f"curl {request.build_absolute_uri(request.path)}"]
        if view.authentication_classes:
            lines.append('-H "Authorization: Bearer $TOKEN"')
        if view.sample:
            lines.append("-H 'Content-Type: application/json'")
            lines.append(f"-d {shlex.quote(json.dumps(view.sample, ensure_ascii=False))}")
        else:
            lines.append("-X POST")
        return " \\\n  ".join(lines)


def person(request: Any) -> Any:
    """Return who looks at a page: whom the route knows, else whose session it is."""
    if request.user.is_authenticated:
        return request.user
    inner = request._request  # noqa: SLF001 - DRF has no other way to it
    return get_user(inner) if hasattr(inner, "session") else request.user


def description(view: Any) -> SafeString:
    """Return what a view says of itself, its code marked as such."""
    paragraphs = view.get_view_description().split("\n\n")
    return format_html_join("", "<p>{}</p>", ((_with_code(one),) for one in paragraphs))


def _with_code(text: str) -> SafeString:
    """Return a text in which what stands between backticks is code."""
    parts = enumerate(text.split("`"))
    return format_html_join(
        "", "{}", ((format_html("<code>{}</code>", part) if n % 2 else part,) for n, part in parts)
    )


def crumbs(request: Any) -> list[tuple[str, str]]:
    """Return the pages above this one, by their paths, and itself."""
    found = get_breadcrumbs(request.path, request)
    return [(url.rstrip("/").rpartition("/")[2], url) for _, url in found if url != "/"]


def describe(name: str, input_: Any) -> FormField:
    """Return how the page shows a serializer's field."""
    shown = FormField(name, "text", str(input_.help_text or ""), input_.required, "text")
    if isinstance(input_, StrictUUIDField):
        shown.kind = "id"
    elif isinstance(input_, UUIDListField):
        shown.kind = "list of ids"
        shown.help += " In the form, one id a line."
    elif isinstance(input_, StrictIntegerField):
        shown.kind, shown.widget = "whole number", "number"
        if isinstance(input_.default, int):
            shown.placeholder = str(input_.default)
    elif isinstance(input_, serializers.ChoiceField):
        shown.widget, shown.choices = "select", [str(choice) for choice in input_.choices]
        shown.kind = " or ".join(shown.choices)
    if input_.style.get("base_template") == "textarea.html":
        shown.widget = "textarea"
    if input_.style.get("input_type") == "password":
        shown.widget = "password"
    return shown


def kept(shown: FormField, sent: Any, plain: Any, *, refused: bool) -> str:
    """Return what a form's field begins with after it was sent.

    Everything but a password when it was refused; else ids and choices, since the next thing is
    likely done to the same, and the cursor that was answered.
    """
    if shown.widget == "password":
        return ""
    if shown.name == "cursor" and not refused:
        return str(plain.get("cursor", ""))
    stays = refused or shown.kind == "id" or shown.choices
    return str(sent.get(shown.name, "")) if stays else ""


def table(results: list[dict[str, Any]], request: Any) -> dict[str, Any]:
    """Return the rows and columns of a list, without columns that the path says already."""
    names = list(results[0]) if results else []
    hidden = {
        name
        for name in names
        if str(results[0][name]) in request.path.split("/")
        and all(row[name] == results[0][name] for row in results)
    }
    columns = [name for name in names if name not in hidden]
    room = TABLE_BYTES // max(len(results), 1)
    ids: dict[tuple[str, str], Cell] = {}

    def shown(name: str, value: Any) -> Cell:
        if not isinstance(value, str) or not parse_id(value):
            return cell(name, value, room)
        if (name, value) not in ids:
            ids[name, value] = cell(name, value)
        return ids[name, value]

    return {
        "columns": columns,
        # Most rows of a list share who or where: each id's links are made once.
        "rows": [[shown(name, row[name]) for name in columns] for row in results],
    }


def cell(name: str, value: Any, room: int = TEXT_BYTES) -> Cell:
    """Return one value of a row, so many bytes of it at most."""
    if value is None:
        return Cell(name, "none", format_html('<span class="faint">{}</span>', "none"))
    if parse_id(value):
        return Cell(name, "ident", format_html("{} {}", an_id(value), ways(name, value)))
    if isinstance(value, str) and _TIME.fullmatch(value):
        shown = f"{value[:10]} {value[11:19]}"
        return Cell(name, "time", format_html('<time title="{}">{}</time>', value, shown))
    if isinstance(value, int | float):
        return Cell(name, "number", format_html("{}", value))
    kind = "word"
    if name in WORDS:
        kind = "words long" if is_long(str(value)) else "words"
    return Cell(name, kind, beginning(str(value), room))


def beginning(text: str, room: int) -> SafeString:
    """Return a text escaped; of one that then takes more bytes than there is room, what fits."""
    # Of what is left out nothing has to be escaped.
    escaped = escape(text[: room + 1])
    encoded = escaped.encode()
    if len(encoded) <= room:
        return escaped
    fits = encoded[:room].decode(errors="ignore")
    if fits.rfind("&") > fits.rfind(";"):
        # No half of what a character was escaped by.
        fits = fits[: fits.rfind("&")]
    return mark_safe(fits) + LEFT_OUT  # noqa: S308  # nosec B308 # escaped, see above


def an_id(value: str) -> SafeString:
    """Return an id that one click selects."""
    return format_html('<code class="id" title="One click selects it">{}</code>', value)


def ways(name: str, value: str) -> SafeString:
    """Return links to where the thing that an id names is shown, see `PAGES_OF_IDS`."""
    links = []
    for label, route in settings.PAGES_OF_IDS.get(name, ()):
        try:
            links.append((reverse(route, args=[value]), label))
        except NoReverseMatch:
            continue
    if not links:
        return SafeString()
    joined = format_html_join("", '<a href="{}">{}</a>', links)
    return format_html('<span class="ways">{}</span>', joined)


def as_html(value: Any, request: Any) -> SafeString:
    """Return JSON, indented and coloured, its ids easy to take and its own links to follow."""
    origin = request.build_absolute_uri("/")
    pieces: list[str] = []
    room = ANSWER_BYTES
    for piece in _pieces(value, "", "\n", origin):
        if room < 0:
            pieces.append(LEFT_OUT)
            break
        pieces.append(piece)
        room -= len(piece.encode())
    # Every piece was made by format_html or is punctuation and white space.
    return mark_safe("".join(pieces))  # noqa: S308  # nosec B308 # each piece is escaped, see above


def _pieces(value: Any, name: str, newline: str, origin: str) -> Iterator[str]:
    deeper = newline + "  "
    if isinstance(value, dict) and value:
        for place, (key, one) in enumerate(value.items()):
            yield ("," if place else "{") + deeper
            yield format_html('<span class="k">{}</span>: ', _json(key))
            yield from _pieces(one, key, deeper, origin)
        yield newline + "}"
    elif isinstance(value, list) and value:
        for place, one in enumerate(value):
            yield ("," if place else "[") + deeper
            yield from _pieces(one, name, deeper, origin)
        yield newline + "]"
    elif isinstance(value, str) and parse_id(value):
        yield format_html("&quot;{}&quot;{}", an_id(value), ways(name, value))
    elif isinstance(value, str) and value.startswith(origin) and "{" not in value:
        yield format_html('&quot;<a href="{}">{}</a>&quot;', value, _json(value)[1:-1])
    elif isinstance(value, str):
        yield format_html('<span class="s">{}</span>', beginning(_json(value), TEXT_BYTES))
    else:
        yield format_html('<span class="n">{}</span>', _json(value))


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _with_format(request: Any) -> str:
    query = request.GET.copy()
    query["format"] = JSONRenderer.format
    text: str = query.urlencode()
    return text
