"""A client of Strata that keeps the cursor and the client_ids right by itself."""

from strata_client.client import Client
from strata_client.errors import Refused, StrataError, Unavailable
from strata_client.models import (
    Account,
    Block,
    Chat,
    ChatNews,
    Export,
    Group,
    HourObject,
    Membership,
    Message,
    News,
    Problem,
    Report,
    Sent,
    User,
)
from strata_client.stores import MemoryStore, Outgoing, SQLiteStore, Store

__all__ = [
    "Account",
    "Block",
    "Chat",
    "ChatNews",
    "Client",
    "Export",
    "Group",
    "HourObject",
    "Membership",
    "MemoryStore",
    "Message",
    "News",
    "Outgoing",
    "Problem",
    "Refused",
    "Report",
    "SQLiteStore",
    "Sent",
    "Store",
    "StrataError",
    "Unavailable",
    "User",
]
