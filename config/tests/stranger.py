"""Another user of this machine, who asks every door what it gives without a key.

    python -I stranger.py UID < doors.json > answers.json

Reads `{"ports": [[host, port], …], "sockets": [path, …], "files": [path, …], "bucket": name,
"key": name}`; writes what each gave. All that it needs is loaded before it becomes that user, who
may not be able to read the interpreter.
"""

from __future__ import annotations

import contextlib
import encodings.idna  # noqa: F401 - loaded on first use otherwise
import json
import os
import socket
import ssl
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

SECONDS = 1
AT_A_TIME = 24
ORIGIN = "http://evil.example"
HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
POSTGRES = b"user\0strata\0database\0strata\0\0"
VALKEY = (
    b"PING\r\nINFO\r\nKEYS *\r\nSET strata-stranger here\r\nFLUSHALL\r\nCONFIG GET requirepass\r\n"
)


def questions(bucket: str, key: str) -> Iterator[tuple[str, bytes]]:
    """Yield a name and the bytes of each thing that is asked without a key."""
    reads = (
        "/",
        f"/{bucket}",
        f"/{bucket}/?list-type=2",
        f"/{bucket}/{key}",
        f"/buckets/{bucket}/",
        f"/buckets/{bucket}/{key}",
        "/dir/assign",
        "/dir/status",
        "/dir/lookup?volumeId=1",
        "/vol/list",
        "/cluster/status",
        "/status",
        "/1,0100000000",
        "/ui/index.html",
        "/debug/pprof/goroutine?debug=2",
        "/metrics",
        "/?Action=ListUsers&Version=2010-05-08",
    )
    for path in reads:
        yield f"GET {path}", _request("GET", path)
    for path in (f"/{bucket}/{key}", f"/buckets/{bucket}/{key}", f"/{bucket}"):
        for method in ("PUT", "DELETE", "POST", "OPTIONS"):
            yield f"{method} {path}", _request(method, path, b"stranger")
    yield "POST /dir/assign", _request("POST", "/dir/assign")
    yield "POST /submit", _request("POST", "/submit", b"stranger")
    yield "gRPC", HTTP2
    length = len(POSTGRES) + 8
    yield "PostgreSQL", length.to_bytes(4, "big") + (196608).to_bytes(4, "big") + POSTGRES
    yield "Valkey", VALKEY


def _request(method: str, path: str, body: bytes = b"") -> bytes:
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: {ORIGIN}\r\n"
        f"Access-Control-Request-Method: GET\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body


def ask(connection: socket.socket, question: bytes) -> str:
    """Return what comes back, until the end or until nothing more comes."""
    answer = b""
    with contextlib.suppress(OSError):
        connection.sendall(question)
        while len(answer) < 1_000_000 and (chunk := connection.recv(65536)):
            answer += chunk
            connection.settimeout(0.2)
    return answer.decode("latin-1")


def ask_port(host: str, port: int, question: bytes, *, tls: bool) -> str:
    """Ask a port, in clear or through TLS without a certificate."""
    connection: socket.socket
    try:
        connection = socket.create_connection((host, port), timeout=SECONDS)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            connection = context.wrap_socket(connection)
    except OSError as error:
        return f"refused: {error}"
    with connection:
        return ask(connection, question)


def ask_socket(path: str, question: bytes) -> str:
    """Ask a Unix socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS)
        try:
            connection.connect(path)
        except OSError as error:
            return f"refused: {error}"
        return "open: " + ask(connection, question)


def can_read(path: str) -> bool:
    """Say whether the file can be opened, or the folder listed."""
    try:
        if os.path.isdir(path):  # noqa: PTH112 - nothing more is to be loaded
            os.listdir(path)  # noqa: PTH208
        else:
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


def main() -> None:
    """Become the other user and write down what the doors gave."""
    doors = json.load(sys.stdin)
    if os.geteuid() == 0:
        uid = int(sys.argv[1])
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    asked = list(questions(doors["bucket"], doors["key"]))

    def ask_one(what: tuple[str, int, bool, str, bytes]) -> list[str]:
        host, port, tls, name, text = what
        answer = ask_port(host, port, text, tls=tls)
        return [f"{host}:{port}", name, "tls" if tls else "clear", answer]

    with ThreadPoolExecutor(AT_A_TIME) as threads:
        answers = list(
            threads.map(
                ask_one,
                [
                    (host, port, tls, name, text)
                    for name, text in asked
                    for host, port in doors["ports"]
                    for tls in (False, True)
                ],
            )
        )
    answers += [
        [path, name, "socket", ask_socket(path, text)]
        for path in doors["sockets"]
        for name, text in asked[:1]
    ]
    json.dump(
        {"answers": answers, "readable": [path for path in doors["files"] if can_read(path)]},
        sys.stdout,
    )


if __name__ == "__main__":
    main()
