"""What may be done to one thing in the admin, and what is shown of it, by whoever knows how.

A room offers deeds and panels for a model by the model's label, and the model's own page shows
them: so the page of a user has what archive and moderation know about users, and imports neither.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.db.models import Model
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

REASON_MAX_CHARS = 1000


class DeedForm(forms.Form):
    """What a deed asks before it is done; it knows the thing that it is done to, as `target`."""

    def __init__(self, *args: Any, target: Model, **kwargs: Any) -> None:
        self.target = target
        super().__init__(*args, **kwargs)


class ReasonForm(DeedForm):
    """Asks why."""

    reason = forms.CharField(
        max_length=REASON_MAX_CHARS,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text="Kept in the audit log.",
    )


class ConfirmForm(ReasonForm):
    """Asks why, and for the thing's name, typed: for what can't be undone."""

    typed = forms.CharField(
        label="Type the name to confirm",
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off"}),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["typed"].help_text = f"The name is: {self.target}"

    def clean_typed(self) -> str:
        """Refuse any other name."""
        typed = str(self.cleaned_data["typed"])
        if typed.strip() != str(self.target):
            raise forms.ValidationError("That is not the name.", code="other_name")
        return typed


def nothing(request: HttpRequest, thing: Any, data: dict[str, Any]) -> str:
    """Do nothing, where another page does it."""
    return ""


@dataclass(frozen=True, kw_only=True)
class Deed:
    """Something that a button of a thing's page does, after a form has asked what must be known."""

    name: str
    """In the page's address."""
    label: str
    """On the button."""
    explain: str
    """What it does, in a sentence or two above the form."""
    may: Callable[[HttpRequest, Any], bool]
    """Whether to offer it for this thing to whoever asks; the service decides again."""
    form: type[DeedForm] = ReasonForm
    danger: bool = False
    then: Callable[[HttpRequest, Any], str] | None = None
    """Where to go after it, where that is not the thing's page."""
    act: Callable[[HttpRequest, Any, dict[str, Any]], str] = nothing
    """Does it with what the form found, by a service; returns a sentence that says what was done.

    A refusal of the service (an APIException) is shown in the form.
    """
    href: str = ""
    """The page that does it, where another one does, from the thing's page; {} is its id."""

    def url(self, thing: Model) -> str:
        """Return the page that asks and does, from the thing's page."""
        return self.href.format(thing.pk) if self.href else f"../do/{self.name}/"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A part of a thing's page."""

    name: str
    title: str
    load: Callable[[HttpRequest, Any], Mapping[str, Any] | None]
    """Returns what the template shows; None leaves the panel out."""
    may: Callable[[HttpRequest, Any], bool]
    template: str = "common/admin/table.html"
    order: int = 50


@dataclass(frozen=True)
class Table:
    """Rows of a panel that is a table; cells are texts (escaped), safe strings, times, numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]
    empty: str
    more_url: str = ""
    more: str = "All of them"

    @property
    def labelled(self) -> list[list[tuple[str, Any]]]:
        """Each row's cells with their columns' names, which a phone shows beside them."""
        return [list(zip(self.columns, row, strict=True)) for row in self.rows]

    def context(self) -> dict[str, Any]:
        """Return what the template of a table takes."""
        return {"table": self}


_deeds: dict[str, list[Deed]] = {}
_panels: dict[str, list[Panel]] = {}


def offer(label: str, *offered: Deed | Panel) -> None:
    """Offer deeds and panels for the pages of a model, named as `accounts.user`."""
    for one in offered:
        if isinstance(one, Deed):
            _deeds.setdefault(label, []).append(one)
        else:
            _panels.setdefault(label, []).append(one)
            _panels[label].sort(key=lambda panel: panel.order)


def deeds_for(request: HttpRequest, thing: Model) -> list[Deed]:
    """Return what the caller may do to a thing."""
    return [deed for deed in _deeds.get(thing._meta.label_lower, []) if deed.may(request, thing)]


def panels_for(request: HttpRequest, thing: Model) -> list[dict[str, Any]]:
    """Return the panels of a thing that the caller may see, loaded."""
    return [
        {"panel": panel, **content}
        for panel in _panels.get(thing._meta.label_lower, [])
        if panel.may(request, thing) and (content := panel.load(request, thing)) is not None
    ]


def permitted(permission: str) -> Callable[[HttpRequest, Any], bool]:
    """Return a `may` that asks for one permission."""

    def may(request: HttpRequest, thing: Any) -> bool:
        return bool(request.user.has_perm(permission))

    return may


def tag(text: str, state: str) -> SafeString:
    """Return a word that stands out: `good`, `warn`, `bad` or plainly."""
    return format_html('<span class="tag {}">{}</span>', state, text)


def link(text: object, url: str) -> SafeString:
    """Return a link."""
    return format_html('<a href="{}">{}</a>', url, text)
