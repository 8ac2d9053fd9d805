"""Numbers as they come: one rule, wherever one is read."""

import pytest

from common.numbers import whole_number
from tests.core.people import Person

ODD = [
    "1.0",
    " 5",
    "5 ",
    "\u0665",
    "1_0",
    "",
    "+5",
    "0x5",
    "1e1",
    "5\n",
    "\u00b2",
    "--5",
    "5" * 20,
    "five",
]


def test_a_number_is_ascii_digits_and_nothing_else():
    assert [text for text in ODD if whole_number(text) is not None] == []
    assert [whole_number(text) for text in ("0", "7", "007", "-3", "9" * 19)] == [
        *(0, 7, 7, -3),
        int("9" * 19),
    ]
    assert whole_number(5) is None
    assert whole_number(None) is None


@pytest.mark.django_db(transaction=True)
def test_every_list_reads_its_numbers_by_it():
    ada, bob = Person("ada"), Person("bob")
    chat_id = ada.post("/send_message", recipient_id=str(bob.id), text="hello").json()["chat_id"]
    paths = ["/chats/", "/groups/", "/blocks/", "/archive/", "/reports/", "/exports/"]
    asked = [(path, "limit") for path in paths]
    asked += [(f"/chats/{chat_id}/messages/", name) for name in ("limit", "before", "after")]
    asked += [("/archive/", "year")]
    for path, name in asked:
        for text in ODD:
            answer = ada.client.get(path, {name: text})
            assert (answer.status_code, answer.json()["errors"][0]["attr"]) == (400, name), (
                *(path, name, text),
            )
        good = "2026" if name == "year" else "5"
        assert ada.client.get(path, {name: good}).status_code == 200
    # An hour that no day has is in no object's path.
    for hour in ("24", "2.0", "\u0665"):
        assert ada.client.get(f"/archive/2026/1/{hour}/{chat_id}/").status_code == 404
        answer = ada.client.get("/archive/", {"year": "2026", "day": "1", "hour": hour})
        assert answer.status_code == 400
