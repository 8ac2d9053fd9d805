"""A page that is watched: its console, its requests, its accessibility."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Page, Request, Response

# The rules of WCAG 2.2 AA and axe's own best practices.
AXE: dict[str, Any] = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
}
# Swagger UI's markup is its own: buttons in buttons, a heading that skips one, fields without a
# label. Its colours and sizes are ours. All that it offers, the browsable API's pages do too.
SWAGGER_UI = "#swagger-ui"
ITS_OWN = {"nested-interactive", "heading-order", "region", "select-name", "label"}
MOST_TABS = 150
_FOCUSED = """() => {
  const it = document.activeElement;
  if (!it || it === document.body) return "";
  const label = it.labels && it.labels.length ? it.labels[0].innerText : "";
  // A region that can be scrolled may have the focus too: what is in it is not its name.
  const own = it.matches("a, button, summary, input, select, textarea") ? it.innerText : "";
  return [it.getAttribute("aria-label"), label, own, it.value, it.title, it.name, it.id]
    .filter(Boolean).map(text => String(text).trim()).join("\\n");
}"""
_TOO_WIDE = """() => {
  const width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= width) return [];
  return [...document.querySelectorAll("body *")]
    .filter(it => it.getBoundingClientRect().right > width + 1)
    .slice(0, 8)
    .map(it => it.outerHTML.slice(0, 120));
}"""


# An icon is a word of an icon font: said aloud, it would be a part of the name of a link.
_AUDIBLE_ICONS = """() => [...document.querySelectorAll(".material-symbols-outlined")]
  .filter(it => !it.closest("[aria-hidden=true]")).map(it => it.outerHTML.slice(0, 120))"""


class Watched:
    """A page and what went wrong in it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.errors: list[str] = []
        # What a journey provokes on purpose: an answer of this status is no error.
        self.expected: set[int] = set()
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.errors.append(f"script: {error}"))
        page.on("requestfailed", self._failed)
        page.on("response", self._answered)

    def _console(self, message: ConsoleMessage) -> None:
        # What it says of an answer's status is heard from the answer itself.
        if message.type == "error" and "the server responded with a status" not in message.text:
            self.errors.append(f"console: {message.text}")

    def _failed(self, request: Request) -> None:
        # A page that is left ends what it was loading.
        if request.failure != "net::ERR_ABORTED":
            self.errors.append(f"{request.method} {request.url}: {request.failure}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and response.status not in self.expected:
            self.errors.append(f"{response.request.method} {response.url}: {response.status}")

    def go(self, path: str) -> None:
        """Open a path and wait until it stands still."""
        self.page.goto(path)
        self.page.wait_for_load_state("networkidle")

    def check(self) -> None:
        """Demand that axe finds nothing, no icon is read out, nothing is wider than the window."""
        found = Axe().run(self.page, options=AXE).response["violations"]
        its_own = ITS_OWN if self.page.locator(SWAGGER_UI).count() else set()
        wrong = [
            f"{rule['id']} ({rule['impact']}): {node['target']} {node['html'][:200]}"
            for rule in found
            for node in rule["nodes"]
            if rule["id"] not in its_own
        ]
        assert not wrong, "\n".join([self.page.url, *wrong])
        icons = self.page.evaluate(_AUDIBLE_ICONS)
        assert not icons, f"{self.page.url} has icons that are read out: {icons}"
        wide = self.page.evaluate(_TOO_WIDE)
        assert not wide, f"{self.page.url} is wider than the window: {wide}"

    def tab_to(self, name: str) -> None:
        """Press Tab until something of this name has the focus, as a person without a mouse does."""
        passed = []
        for _ in range(MOST_TABS):
            self.page.keyboard.press("Tab")
            focused: str = self.page.evaluate(_FOCUSED)
            if name.casefold() in focused.casefold():
                return
            passed.append(focused.partition("\n")[0])
        raise AssertionError(f"no Tab leads to {name!r}: {passed}")

    def type(self, text: str) -> None:
        """Type over what a focused field holds."""
        self.page.keyboard.press("ControlOrMeta+a")
        self.page.keyboard.type(text)

    def press(self, key: str) -> None:
        """Press a key and wait for what comes of it."""
        self.page.keyboard.press(key)
        self.page.wait_for_load_state("networkidle")

    def enter(self) -> None:
        """Press Enter on a link or in a form and wait for the page that it leads to."""
        with self.page.expect_navigation():
            self.page.keyboard.press("Enter")
        self.page.wait_for_load_state("networkidle")
