"""`python -m scripts.bench`: measure what requests cost, on a stack of its own."""

from __future__ import annotations

import argparse
import dataclasses
import sys
import tempfile
import time
from pathlib import Path

from config.options import BASE_DIR
from config.stack.errors import StackError
from scripts.bench import report
from scripts.bench.run import Bench
from scripts.bench.scale import COLD, COLD_QUICK, FULL, QUICK


def main() -> int:
    """Run the bench; return 0 when every answer was sound (targets missed are said, no failure)."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.bench",
        description="CPU-milliseconds per request over web server, PostgreSQL and Valkey; rates, "
        "latencies, growth and memory. About 10 minutes; everything it starts, it stops.",
    )
    parser.add_argument("--quick", action="store_true", help="a smoke run of about a minute")
    parser.add_argument("--rounds", type=int, help="repetitions of each measurement")
    parser.add_argument("--seconds", type=float, help="length of each repetition")
    parser.add_argument("--only-main", action="store_true", help="no growth, writers and memory")
    parser.add_argument("--archive", action="store_true", help="the archive's rows alone")
    parser.add_argument(
        "--cycles", type=int, default=0, help="fill, back up and trim so often; the tables' sizes"
    )
    parser.add_argument(
        "--large", type=int, default=0, help="back up and restore so many messages; the memory"
    )
    parser.add_argument("--out", type=Path, default=BASE_DIR / "bench-results", help="folder")
    arguments = parser.parse_args()
    scale = QUICK if arguments.quick else FULL
    if arguments.rounds:
        scale = dataclasses.replace(scale, rounds=arguments.rounds, growth_rounds=arguments.rounds)
    if arguments.seconds:
        scale = dataclasses.replace(scale, seconds=arguments.seconds)
    cold = dataclasses.replace(
        COLD_QUICK if arguments.quick else COLD, cycles=arguments.cycles, large=arguments.large
    )
    only_cold = bool(arguments.archive or arguments.cycles or arguments.large)
    started = time.monotonic()

    def say(what: str) -> None:
        if not sys.stderr.isatty():
            sys.stderr.write(f"{time.monotonic() - started:4.0f} s  {what}\n")
        else:
            sys.stderr.write(f"\r\x1b[K{time.monotonic() - started:4.0f} s  {what}")
        sys.stderr.flush()

    try:
        with tempfile.TemporaryDirectory(prefix="strata-bench-") as folder:
            # PostgreSQL runs as another user where we are root, and has to pass through.
            Path(folder).chmod(0o711)
            results = Bench(
                Path(folder),
                scale,
                say,
                only_main=arguments.only_main,
                cold=None if arguments.only_main else cold,
                only_cold=only_cold,
            ).run()
    except StackError as error:
        sys.stderr.write(f"strata: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    say("done\n")
    report.show(results)
    for path in report.write(results, arguments.out, quick=arguments.quick):
        sys.stdout.write(f"{path}\n")
    return 1 if results.problems else 0


if __name__ == "__main__":
    sys.exit(main())
