"""API9:2023. Every path that there is is known: described, or one of the few pages for people."""

from pathlib import Path
from typing import Any

import yaml
from django.urls import URLPattern, URLResolver, get_resolver

from tests.http import Server

# For people in a browser; the admin's own tests go through what is below it.
FOR_PEOPLE = {"docs/", "schema/", "favicon.ico", "browse/login/", "browse/logout/"}
BELOW_ADMIN = "admin/"


def patterns(resolver: Any, prefix: str = "") -> list[str]:
    found = []
    for each in resolver.url_patterns:
        path = prefix + str(each.pattern)
        if isinstance(each, URLResolver):
            found += patterns(each, path)
        elif isinstance(each, URLPattern):
            found.append(path)
    return found


def test_every_path_is_described_or_known(operations: list[tuple[str, str, Any]]) -> None:
    def shape(path: str) -> str:
        """Return a path with a star for each parameter, however it is written."""
        for opening, closing in (("<", ">"), ("{", "}")):
            while opening in path:
                head, _, tail = path.partition(opening)
                path = head + "*" + tail.partition(closing)[2]
        return path.strip("^$/").replace("(?P*[^/.]+)", "*")

    described = {shape(path) for _, path, _ in operations}
    known = {shape(path) for path in FOR_PEOPLE}
    unknown = set()
    for path in patterns(get_resolver()):
        if path.startswith(BELOW_ADMIN) or path == "":
            continue
        if shape(path) not in described | known:
            unknown.add(path)
    assert sorted(unknown) == []


def test_there_is_one_version_and_it_says_which(document: Any, server: Server) -> None:
    assert document["info"]["version"]
    for old in ("/v1/", "/api/", "/api/v1/users/me/", "/beta/", "/internal/", "/test/"):
        server.get(old).refused(404)


def test_the_document_in_the_repository_is_this_one(document: Any) -> None:
    """`make lint` compares them to the letter; here, that each route is in both."""
    written = yaml.safe_load(
        (Path(__file__).parents[2] / "docs" / "openapi.yaml").read_text("utf-8")
    )
    assert set(written["paths"]) == set(document["paths"])
