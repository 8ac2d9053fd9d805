"""`/send_message`, and private chats as one reads them."""

from functools import partial

import pytest

from tests.http import ABSENT, CHAT_KEYS, Person, at_once, check_message


def test_it_works(ann: Person, ben: Person) -> None:
    message = ann.send(ben, "hello").ok(201)
    check_message(message)
    assert (message["seq"], message["sender_id"], message["kind"]) == (1, ann.user_id, "text")
    assert (message["text"], message["client_id"]) == ("hello", None)
    answer = ben.send(ann, "hi", "c1").ok(201)
    assert (answer["chat_id"], answer["seq"], answer["client_id"]) == (message["chat_id"], 2, "c1")
    assert answer["sent_at"] > message["sent_at"]


def test_both_find_the_chat_under_the_name_of_the_other(ann: Person, ben: Person) -> None:
    chat_id = ann.send(ben, "hello").ok(201)["chat_id"]
    for one, other in ((ann, ben), (ben, ann)):
        [chat] = one.poll().ok()["chats"]
        assert set(chat) == CHAT_KEYS
        assert (chat["chat_id"], chat["kind"]) == (chat_id, "private")
        assert chat["name"] == other.display_name
        assert (chat["start"], chat["end"]) == (1, 1)
        [listed] = one.walk("/chats/")
        shown = one.get(f"/chats/{chat_id}/").ok()
        assert listed == shown
        assert (shown["chat_id"], shown["kind"]) == (chat_id, "private")
        assert shown["name"] == other.display_name


def test_to_oneself_is_a_400(ann: Person) -> None:
    ann.send(ann, "hello").refused(400, attr="recipient_id")


@pytest.mark.parametrize(
    "nobody",
    [
        "b9ee5a9e-32e5-4d43-9f92-f8ba3055e8f7",
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ],
)
def test_to_nobody_is_a_404(ann: Person, nobody: str) -> None:
    ann.send(nobody, "hello").refused(404)


def test_an_id_in_another_spelling_never_breaks_the_server(ann: Person, ben: Person) -> None:
    chat_id = ann.send(ben, "x").ok(201)["chat_id"]
    raw = ben.user_id
    for spelling in (
        raw.upper(),
        raw.replace("-", ""),
        "{" + raw + "}",
        "urn:uuid:" + raw,
        f" {raw}",
        raw + "\n",
    ):
        answer = ann.send(spelling, "x")
        if answer.status == 201:
            assert answer.body["chat_id"] == chat_id
        else:
            answer.refused(400)


def test_a_group_is_not_a_recipient(ann: Person, ben: Person) -> None:
    ann.send(ann.group(ben)["group_id"], "x").refused(404)


def test_a_private_chat_is_not_a_group(ann: Person, ben: Person, cid: Person) -> None:
    chat = ann.send(ben, "x").ok(201)["chat_id"]
    ann.send_group(chat, "x").refused(404)
    ann.add(chat, cid).refused(404)
    ann.remove(chat, ben).refused(404)
    ann.remove(chat, ann).refused(404)
    ann.set_role(chat, ben, "admin").refused(404)
    ann.get(f"/groups/{chat}/").refused(404)
    ann.get(f"/groups/{chat}/members/").refused(404)
    assert [m["seq"] for m in ann.history(chat)] == [1]


def test_first_messages_to_each_other_at_once_make_one_chat(ann: Person, ben: Person) -> None:
    answers = at_once([lambda: ann.send(ben, "x"), lambda: ben.send(ann, "y")] * 5)
    messages = [answer.ok(201) for answer in answers]
    assert len({message["chat_id"] for message in messages}) == 1
    assert sorted(message["seq"] for message in messages) == list(range(1, 11))


def test_the_caller_is_taken_from_the_token(ann: Person, ben: Person, cid: Person) -> None:
    body = ann.post(
        "/send_message",
        recipient_id=ben.user_id,
        text="x",
        sender_id=cid.user_id,
        user_id=cid.user_id,
    ).ok(201)
    assert body["sender_id"] == ann.user_id


def test_seqs_have_no_gaps_and_times_never_go_back(ann: Person, ben: Person) -> None:
    people = [ann, ben] * 10
    answers = at_once([partial(p.send, ben if p is ann else ann, "x") for p in people])
    chat = answers[0].ok(201)["chat_id"]
    messages = ann.history(chat)
    assert [message["seq"] for message in messages] == list(range(1, 21))
    times = [message["sent_at"] for message in messages]
    assert times == sorted(times)
    by_seq = {answer.body["seq"]: answer.body for answer in answers}
    assert {message["seq"]: message for message in messages} == by_seq


def test_a_refused_send_takes_no_seq(ann: Person, ben: Person) -> None:
    ann.send(ben, "x").ok(201)
    ann.send(ben, "").refused(400)
    ann.send(ben, "x" * 5000).refused(400)
    ann.send(ben, ABSENT).refused(400)
    assert ann.send(ben, "y").ok(201)["seq"] == 2
