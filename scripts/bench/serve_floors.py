"""`python -m scripts.bench.serve_floors`: the floors under Strata's own web server."""

from __future__ import annotations

from environs import Env

from config import web


def main() -> None:
    """Serve until SIGTERM."""
    server = web.make_server(Env())
    server.target = "scripts.bench.floors:application"
    server.serve()


if __name__ == "__main__":
    main()
