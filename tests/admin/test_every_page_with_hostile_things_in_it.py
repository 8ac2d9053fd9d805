"""Whatever people write, the admin shows it as text: in every list and on every page there is."""

from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import Group
from django.contrib.contenttypes.models import ContentType
from django.test import Client
from django.utils import timezone

from accounts import services
from accounts.models import Block, User
from accounts.tests.factories import make_token, make_user
from archive.models import BackupRun, DrillRun, Erasure, Job, RetentionRun
from groups.services import create_group, send_message_to_group
from messaging.models import Chat
from messaging.services import send_text
from moderation import redaction
from moderation.models import Case
from moderation.services import report_message, report_user
from tests.admin.pages import every_page

pytestmark = pytest.mark.django_db(transaction=True)
EVIL = "\"'><script>evil()</script><img src=x onerror=evil()>{{7*7}}</textarea>&lt;b&gt;"


class Looking(HTMLParser):
    """Notes what of it became part of a page."""

    def __init__(self):
        super().__init__()
        self.found = []
        self.text = []

    def handle_starttag(self, tag, attrs):
        names = dict(attrs)
        if names.get("onerror") or names.get("src") == "x":
            self.found.append((tag, attrs))

    def handle_data(self, data):
        self.text.append(data)

    def handle_endtag(self, tag):
        text = "".join(self.text[-1:]).strip()
        if tag == "script" and text.startswith("evil"):
            self.found.append((tag, text))


@pytest.fixture
def root(transactional_db):
    root = User.objects.create_superuser("root", "seven wild swans", display_name=EVIL[:64])
    ada = make_user("ada", display_name=EVIL[:64])
    ben = make_user("ben", display_name=EVIL[:64])
    for user in (ada, ben):
        make_token(user)
    Block.objects.create(blocker=ada, blocked=ben)
    group = create_group(owner_id=ada.pk, name=EVIL, member_ids=[ben.pk])
    for _ in range(2):
        send_message_to_group(group_id=group.group_id, sender_id=ben.pk, text=EVIL)
    send_text(sender_id=ada.pk, recipient_id=ben.pk, text=EVIL)
    chat = Chat.objects.get(pk=group.group_id)
    Chat.objects.filter(pk=chat.pk).update(frozen_at=timezone.now(), frozen_reason=EVIL)
    report_message(reporter_id=ada.pk, chat_id=chat.pk, seq=2, reason="other", comment=EVIL)
    report_user(reporter_id=ada.pk, user_id=ben.pk, reason="other", comment=EVIL)
    Case.objects.update(resolution=EVIL)
    redaction.redact_message(chat_id=chat.pk, seq=3, reason=EVIL)
    services.ban_user(user=ben, reason=EVIL)
    kind = ContentType.objects.get_for_model(User)
    LogEntry.objects.create(
        user=root, content_type=kind, object_id=str(ben.pk), object_repr=EVIL, action_flag=CHANGE,
        change_message=EVIL,
    )  # fmt: skip
    Group.objects.create(name=EVIL[:150])
    now = timezone.now()
    Job.objects.create(kind="drill", state="failed", asked_by=EVIL, sentence=EVIL)
    DrillRun.objects.create(finished_at=now, detail=EVIL)
    BackupRun.objects.create(finished_at=now, until=now)
    RetentionRun.objects.create(finished_at=now, before=now, days=1)
    Erasure.objects.get_or_create(chat=chat, seq=3)
    return root


@pytest.fixture
def browser(root):
    browser = Client()
    browser.force_login(root)
    private = Chat.objects.get(kind="private")
    browser.post(f"/admin/messaging/chat/{private.pk}/do/glass/", {"reason": EVIL})
    return browser


def looked_at(page):
    looking = Looking()
    looking.feed(page)
    return looking


def test_it_is_text_everywhere(root, browser):
    chat = Chat.objects.get(kind="group")
    urls = [
        *every_page(root),
        f"/admin/groups/group/{chat.pk}/change/?read=1",
        f"/admin/groups/group/{chat.pk}/do/remove/?member={quote(EVIL)}",
        *(f"{url}?q={quote(EVIL)}" for url in every_page(root) if url.count("/") == 4),
    ]
    shown = 0
    for url in urls:
        # A list that can't be searched leads back to itself.
        response = browser.get(url, follow=True)
        assert response.status_code == 200, url
        page = response.content.decode()
        looking = looked_at(page)
        assert not looking.found, (url, looking.found)
        assert "<script>evil" not in page, url
        shown += "evil()" in "".join(looking.text)
    # It is there to be seen on most of them: otherwise this would show nothing.
    assert shown >= 15


def test_the_test_itself_would_notice():
    assert looked_at(f"<p>{EVIL}</p>").found
    assert not looked_at("<p>&lt;script&gt;evil()&lt;/script&gt;</p>").found


def test_what_is_typed_into_a_form_comes_back_as_text(root, browser):
    ben = User.objects.get(username="ben")
    page = browser.post(
        f"/admin/accounts/user/{ben.pk}/do/terms/", {"reason": EVIL, "ends": EVIL, "until": EVIL}
    ).content.decode()
    assert not looked_at(page).found
    page = browser.post("/admin/login/", {"username": EVIL, "password": EVIL}).content.decode()
    assert not looked_at(page).found
    page = Client().post("/admin/login/", {"username": EVIL, "password": EVIL}).content.decode()
    assert not looked_at(page).found
