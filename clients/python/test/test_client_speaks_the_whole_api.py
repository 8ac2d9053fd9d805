"""Each method, once, against a real server; and what a hostile one can't get."""

import hashlib
import io
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from strata_client import Client, Refused


def test_accounts(somebody, url):
    ann = somebody("ann")
    me = ann.me()
    assert ann.user(me.user_id) == me
    name = f"{me.username}-2"
    with Client(url) as client:
        account = client.register(name, password="a long sentence", display_name="Ann")
        assert client.me() == account.user
        client.logout()
        assert client.token is None
        assert client.login(name, "a long sentence").user == account.user
        with pytest.raises(Refused) as refused:
            client.login(name, "another sentence")
        assert refused.value.code == "wrong_credentials"
        with pytest.raises(Refused) as refused:
            client.register(name)
        assert (refused.value.code, refused.value.attr) == ("username_taken", "username")


def test_groups(somebody):
    ann, ben, cid = somebody("ann"), somebody("ben"), somebody("cid")
    group = ann.create_group("circle", [ben.me().user_id])
    assert ann.group(group.group_id) == group
    assert list(ben.groups()) == [group]
    ann.add_user_to_group(group.group_id, cid.me().user_id)
    assert ann.set_group_role(group.group_id, cid.me().user_id, "admin").role == "admin"
    assert [member.role for member in ann.members(group.group_id)] == ["owner", "member", "admin"]
    cid.remove_user_from_group(group.group_id, ben.me().user_id)
    assert list(ben.groups()) == []
    sent = cid.send_message_to_group(group.group_id, "hello")
    assert next(ann.history(group.group_id)).text == sent.message.text == "hello"
    assert ann.chat(group.group_id).end == sent.message.seq


def test_blocks(somebody):
    ann, ben = somebody("ann"), somebody("ben")
    block = ann.block_user(ben.me().user_id)
    assert list(ann.blocks()) == [block]
    ann.unblock_user(ben.me().user_id)
    assert list(ann.blocks()) == []


def test_lists_and_history_go_through_all_pages(somebody):
    ann = somebody("ann")
    others = [somebody(f"u{n}") for n in range(3)]
    for other in others:
        other.send_message(ann.me().user_id, "hello")
    assert len(list(ann.chats())) == 3
    chat_id = others[0].send_message(ann.me().user_id, "again").message.chat_id
    for n in range(5):
        others[0].send_message(ann.me().user_id, str(n))
    whole = [message.seq for message in ann.history(chat_id, limit=2)]
    assert whole == [7, 6, 5, 4, 3, 2, 1]
    assert [message.seq for message in ann.history(chat_id, before=3)] == [2, 1]


def test_cold_storage(somebody, manage):
    ann, ben = somebody("ann"), somebody("ben")
    sent = ann.send_message(ben.me().user_id, "hello 😀\n")
    manage("backup", "--now")
    [found] = ben.archive(chat_id=sent.message.chat_id)
    assert (found.first_seq, found.last_seq, found.count) == (1, 1, 1)
    [message] = ben.hour_object(found.path)
    assert (message.text, message.client_id) == ("hello 😀\n", None)
    with pytest.raises(Refused) as refused:
        list(somebody("eve").hour_object(found.path))
    assert refused.value.status == 404


def test_reports(somebody):
    ann, ben = somebody("ann"), somebody("ben")
    sent = ann.send_message(ben.me().user_id, "buy!").message
    report = ben.report_message(sent.chat_id, sent.seq, "spam", comment="again")
    assert (report.user_id, report.seq, report.comment) == (sent.sender_id, 1, "again")
    # Repeated, it is the same one.
    assert ben.report_message(sent.chat_id, sent.seq, "spam") == report
    other = ben.report_user(sent.sender_id, "harassment")
    assert {each.report_id for each in ben.reports()} == {report.report_id, other.report_id}


def test_an_export(somebody):
    ann, ben = somebody("ann"), somebody("ben")
    ann.send_message(ben.me().user_id, "hello")
    export = ann.export()
    deadline = time.monotonic() + 60
    while export.state in {"waiting", "running"} and time.monotonic() < deadline:
        export = ann.exported(export.export_id)
    assert export.state == "ready", export
    data = b"".join(ann.download(export.export_id))
    assert (len(data), hashlib.sha256(data).hexdigest()) == (export.size, export.sha256)
    assert zipfile.ZipFile(io.BytesIO(data)).testzip() is None
    with pytest.raises(Refused) as refused:
        list(ben.download(export.export_id))
    assert refused.value.status == 404


def test_the_token_goes_to_no_other_server_whatever_a_link_says():
    asked = []

    class Hostile(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append((self.headers["Host"], self.path, self.headers["Authorization"]))
            body = (
                b'{"next": "http://evil.example/chats/?cursor=x", "previous": null, "results": []}'
                if len(asked) == 1
                else b'{"next": null, "previous": null, "results": []}'
            )
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hostile)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    here = f"127.0.0.1:{server.server_address[1]}"
    assert list(Client(f"http://{here}", "secret").chats()) == []
    server.shutdown()
    server.server_close()
    assert [host for host, _, _ in asked] == [here, here]
    assert asked[1][1] == "/chats/?cursor=x"


def test_a_page_that_is_none_of_the_servers_is_a_refusal_too(url):
    with Client(f"{url}/nowhere", "token") as client, pytest.raises(Refused) as refused:
        client.me()
    assert refused.value.status in {401, 404}
