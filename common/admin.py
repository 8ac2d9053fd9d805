"""The base of the admin's pages: unfold's, and as fast with a million rows as with ten.

Nothing is counted, nothing is sorted but by the primary key, no drop-down lists a table.
"""

from typing import TYPE_CHECKING, Any, Literal

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.contrib.admin.views.main import PAGE_VAR, ChangeList
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.functional import cached_property
from rest_framework.exceptions import APIException
from unfold.admin import ModelAdmin as UnfoldModelAdmin
from unfold.forms import ActionForm

from common.deeds import REASON_MAX_CHARS, Deed, DeedForm, deeds_for, panels_for

if TYPE_CHECKING:
    # Django's admin classes are generic for the type checker only.
    _ModelAdmin = admin.ModelAdmin[Model]
    _Paginator = Paginator[Model]
else:
    _ModelAdmin = UnfoldModelAdmin
    _Paginator = Paginator

# Skipping rows takes time in proportion to them; who wants what lies deeper searches for it.
DEEPEST_PAGE = 1000


class AtLeast(int):
    """A number of rows that was not counted to its end."""

    def __str__(self) -> str:
        return f"more than {int(self) - 1}"


class ReasonActionForm(ActionForm):  # type: ignore[misc]
    """Asks why, beside what to do with the selected rows."""

    reason = forms.CharField(
        required=False,
        max_length=REASON_MAX_CHARS,
        label="Why",
        widget=forms.TextInput(attrs={"placeholder": "for the audit log"}),
    )


class LeanPaginator(_Paginator):
    """Looks one row past the page that is asked for, instead of counting all."""

    template_name = "common/admin/pagination.html"

    def __init__(self, *args: Any, page_number: int = 1, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.page_number = page_number

    @cached_property
    def count(self) -> int:
        """Return how many rows there are up to the end of this page, or one more than that."""
        if self.page_number > DEEPEST_PAGE:
            return DEEPEST_PAGE * self.per_page
        start = (self.page_number - 1) * self.per_page
        ahead = self.object_list[start : start + self.per_page + 1]
        found = len(ahead.values_list("pk")) if isinstance(ahead, QuerySet) else len(ahead)
        return AtLeast(start + found) if found > self.per_page else start + found


class LeanChangeList(ChangeList):
    """A list in its one order, whatever `?o=` asks for: any other would sort the table."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        """Return the page's own ordering."""
        return list(self.model_admin.get_ordering(request))

    def get_ordering_field_columns(self) -> dict[int, Literal["desc", "asc"]]:
        """Mark no column as sorted, and read no list of columns from the address."""
        return {}

    @property
    def previous_url(self) -> str:
        """The page before, or nothing on the first."""
        return self.get_query_string({PAGE_VAR: self.page_num - 1}) if self.page_num > 1 else ""

    @property
    def next_url(self) -> str:
        """The page after, or nothing on the last."""
        more = self.page_num < self.paginator.num_pages
        return self.get_query_string({PAGE_VAR: self.page_num + 1}) if more else ""


class LeanModelAdmin(_ModelAdmin):
    """For tables that grow without end: newest first, no count, no delete, one query a page."""

    ordering = ("-pk",)
    sortable_by = ()
    list_per_page = 50
    # "Show all" and "select all rows of all pages" would mean the whole table.
    list_max_show_all = 0
    actions_selection_counter = False
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    # What a list says when its table is empty.
    empty_text = "Nothing here yet."
    # A thing's page: what may be done to it above, what belongs to it below, see common/deeds.py.
    change_form_outer_before_template = "common/admin/deeds.html"
    change_form_outer_after_template = "common/admin/panels.html"
    # Below the fields that can be changed, and so above the panels.
    change_form_after_template = "common/admin/save.html"
    # What the rows are called, where not by their model's name.
    called = ""

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the list that has one order."""
        return LeanChangeList

    def get_paginator(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        per_page: int,
        orphans: int = 0,
        allow_empty_first_page: bool = True,
    ) -> LeanPaginator:
        """Return the paginator that doesn't count, for the page that the request asks for."""
        # `p` of a list, `page` of a field that completes what is typed.
        asked = request.GET.get("p") or request.GET.get("page") or ""
        # Python reads no number of thousands of digits, and no page has one.
        number = int(asked[:9]) if asked.isascii() and asked.isdigit() else 1
        return LeanPaginator(
            queryset, per_page, orphans, allow_empty_first_page, page_number=max(number, 1)
        )

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> Model | None:
        """Return a row, nothing for an id that none has; PostgreSQL takes no text with a NUL."""
        return None if "\0" in object_id else super().get_object(request, object_id, from_field)

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> Any:
        """Do an action to the selected rows of a page; refuse ids that no row can have.

        A form that asks for all rows of all pages is none of ours: one click bans no whole town.
        """
        selected = request.POST.getlist(ACTION_CHECKBOX_NAME)
        if request.POST.get("select_across", "0") != "0" or len(selected) > self.list_per_page:
            raise BadRequest(f"At most {self.list_per_page} rows can be selected at once.")
        for chosen in selected:
            try:
                self.opts.pk.to_python(chosen)
            except ValidationError as error:
                raise BadRequest("A selected row has no such id.") from error
            if "\0" in chosen:
                raise BadRequest("A selected row has no such id.")
        return super().response_action(request, queryset)

    def reason_given(self, request: HttpRequest) -> str:
        """Return why an action is asked for; where nothing is said, say that it must be."""
        reason = request.POST.get("reason", "").strip()[:REASON_MAX_CHARS]
        if not reason:
            self.message_user(request, "Nothing was done: say why.", messages.ERROR)
        return reason

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Filter by the list's own filters alone.

        Django takes any column of the row and any comparison from the address: so a list that shows
        no text, no digest and no hash would answer guesses at them, one row more or less at a time.
        """
        if "\0" in value:
            return False
        shown = self.get_list_filter(request) if request is not None else self.list_filter
        offered = {getattr(one, "parameter_name", one) for one in shown}
        return lookup in offered or lookup in {f"{one}__exact" for one in offered}

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Delete nothing here: what ends, ends through a service."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """Add the pages of deeds."""
        name = f"{self.opts.app_label}_{self.opts.model_name}_do"
        view = self.admin_site.admin_view(self.do)
        return [path("<path:object_id>/do/<slug:deed>/", view, name=name), *super().get_urls()]

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Show a thing with its deeds and panels, and no button where nothing can be saved."""
        thing = context.get("original")
        fields = flatten_fieldsets(self.get_fieldsets(request, thing))
        context["saves"] = bool(set(fields) - set(self.get_readonly_fields(request, thing))) and (
            self.has_change_permission(request, thing)
            if thing
            else self.has_add_permission(request)
        )
        if thing is not None:
            context |= {
                "deeds": (offered := deeds_for(request, thing)),
                "buttons": [(deed, deed.url(thing)) for deed in offered],
                "panels": panels_for(request, thing),
                "show_save_and_add_another": False,
                "show_save_and_continue": False,
            }
        return super().render_change_form(request, context, *args, **kwargs)

    def do(self, request: HttpRequest, object_id: str, deed: str) -> HttpResponse:
        """Ask what a deed must know, and do it."""
        thing = self.get_object(request, unquote(object_id))
        if thing is None or not self.has_view_permission(request, thing):
            raise Http404
        offered = {one.name: one for one in deeds_for(request, thing)}
        if deed not in offered:
            raise PermissionDenied
        chosen = offered[deed]
        sent = request.POST if request.method == "POST" else None
        form = chosen.form(sent, initial=request.GET.dict(), target=thing)
        back = reverse(
            f"admin:{self.opts.app_label}_{self.opts.model_name}_change", args=[thing.pk]
        )
        if form.is_valid() and (done := _act(chosen, request, form)):
            self.message_user(request, done, messages.SUCCESS)
            return HttpResponseRedirect(chosen.then(request, thing) if chosen.then else back)
        context = {
            **self.admin_site.each_context(request),
            "title": chosen.label,
            "opts": self.opts,
            "original": thing,
            "deed": chosen,
            "form": form,
            "back": back,
        }
        return TemplateResponse(request, "common/admin/deed.html", context)


def _act(deed: Deed, request: HttpRequest, form: DeedForm) -> str:
    """Do it and return what was done; a refusal goes into the form, and nothing is returned."""
    try:
        return deed.act(request, form.target, form.cleaned_data)
    except APIException as error:
        detail: Any = error.detail
        if isinstance(detail, dict):
            for field, sentences in detail.items():
                form.add_error(field if field in form.fields else None, list(sentences))
        else:
            form.add_error(
                None, [str(one) for one in detail] if isinstance(detail, list) else str(detail)
            )
        return ""


class ReadOnlyModelAdmin(LeanModelAdmin):
    """For what is looked at here, and changed by actions that call services at most."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Add nothing here."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Change nothing here."""
        return False
