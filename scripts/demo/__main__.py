"""`python -m scripts.demo`: replay real dialogs through the running server and check them all."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from environs import Env
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from config import options
from config.environment import load_stack_environment
from scripts.demo import corpus
from scripts.demo.client import Refused, Server, Unanswered
from scripts.demo.ledger import FAULTS
from scripts.demo.play import HISTORY_CHATS, POLLERS, SENDERS, SPEAKERS, Play

MESSAGES = 10_000


def main() -> int:
    """Run the demo; return the exit status: 0 when every message came as it should."""
    arguments = _arguments()
    load_stack_environment()
    env = Env()
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(options.HOST.read(env))  # noqa: S104  # nosec B104 # compared with, not listened on
    url = arguments.url or f"http://{host or options.HOST.read(env)}:{options.PORT.read(env)}"
    if problem := _problem(url):
        sys.stderr.write(f"strata: {problem}\n")
        return 1
    dialogs = corpus.choose(arguments.languages or corpus.languages(), arguments.messages)
    lines = sum(len(dialog.lines) for dialog in dialogs)
    users = SPEAKERS * len({dialog.language for dialog in dialogs})
    bars = Progress(
        TextColumn("{task.description:>22}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        disable=arguments.json,
    )
    tasks = {
        "users": bars.add_task("users registered", total=users),
        "messages": bars.add_task("messages sent", total=lines),
        "deliveries": bars.add_task("messages delivered", total=None),
        "history": bars.add_task("chats read back", total=HISTORY_CHATS),
    }
    # One more for the history, and as many again as speak for requests that are repeated at once.
    server = Server(url, threads=2 * SENDERS + POLLERS + 1)
    play = Play(server, dialogs, lambda name, steps: bars.advance(tasks[name], steps))
    try:
        with bars:
            play.run()
            bars.update(tasks["deliveries"], total=sum(inbox.count for inbox in play.inboxes))
            bars.update(tasks["history"], total=play.pages_of)
    except (Refused, Unanswered) as error:
        sys.stderr.write(f"strata: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    play.sent = lines
    return _report(play, as_json=arguments.json)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m scripts.demo",
        description="Replay dialogs in many languages through the running server, "
        "and check that every message comes to everybody once, whole and in order.",
    )
    parser.add_argument(
        "--messages", type=int, default=MESSAGES, help=f"how many to send ({MESSAGES})"
    )
    parser.add_argument(
        "--languages",
        type=lambda text: text.split(","),
        metavar="NAME,...",
        help="some of: " + ", ".join(corpus.languages()),
    )
    parser.add_argument("--url", help="the server; else the one that `make run` started")
    parser.add_argument("--json", action="store_true", help="print one line of JSON instead")
    arguments = parser.parse_args()
    if unknown := set(arguments.languages or ()) - set(corpus.languages()):
        parser.error(f"there are no dialogs in {', '.join(sorted(unknown))}")
    if arguments.messages < 1:
        parser.error("--messages must be at least 1")
    return arguments


def _problem(url: str) -> str:
    """Return why the demo can't begin, as one sentence, or an empty text."""
    import urllib3  # noqa: PLC0415

    try:
        answer = urllib3.request("POST", f"{url}/get_messages", json={}, retries=False, timeout=5.0)
    except urllib3.exceptions.HTTPError:
        return f"Nothing serves at {url}: run `make run` in another terminal first."
    if answer.status not in {401, 503}:
        return f"What serves at {url} is not Strata: set PORT to the one of `make run`."
    return ""


def _figures(play: Play) -> dict[str, Any]:
    faults = play.ledger.faults
    return {
        "users": len(play.inboxes),
        "languages": len(play.cast),
        "private chats": sum(1 for chat in play.pairs.values() if chat.chat_id),
        "groups": len(play.groups),
        "messages sent": play.sent,
        "acknowledged": play.ledger.acknowledged,
        "sent again on purpose": play.ledger.repeats,
        "requests repeated for want of an answer": play.server.retries,
        "delivered": sum(inbox.count for inbox in play.inboxes),
        **{fault: faults[fault] for fault in FAULTS},
        "sends/s": round(play.sent / max(play.send_seconds, 0.001)),
        "polls/s": round(play.polls / max(play.poll_seconds, 0.001)),
        "chats read back": play.pages_of,
        "pages read": play.pages,
        "served from": dict(play.server.tiers.most_common()),
    }


def _report(play: Play, *, as_json: bool) -> int:
    figures = _figures(play)
    failed = sum(play.ledger.faults.values()) > 0 or play.ledger.acknowledged != play.sent
    if as_json:
        sys.stdout.write(json.dumps({**figures, "ok": not failed, "faults": play.ledger.examples}))
        sys.stdout.write("\n")
        return int(failed)
    table = Table(title="What came of it", show_header=False, title_justify="left")
    table.add_column(justify="right")
    table.add_column()
    for name, value in figures.items():
        table.add_row(name, _shown(name, value))
    console = Console()
    console.print(table)
    for example in play.ledger.examples:
        console.print(example, style="red", markup=False)
    console.print(
        "Some messages did not come as they should."
        if failed
        else "Every message came to everybody once, whole and in order.",
        style="bold red" if failed else "bold green",
    )
    return int(failed)


def _shown(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{tier} {count:,}" for tier, count in value.items())
    text = f"{value:,}"
    return f"[bold red]{text}[/]" if name in FAULTS and value else text


if __name__ == "__main__":
    sys.exit(main())
