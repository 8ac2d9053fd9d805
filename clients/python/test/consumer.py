"""A program that copies its messages into a table of its own, and dies in the middle of it.

python consumer.py URL TOKEN FILE DEATHS-AFTER: it kills itself after so many messages; 0 is never.
"""

import os
import signal
import sys

from strata_client import Client, SQLiteStore

url, token, file, after = sys.argv[1:]
store = SQLiteStore(file)
store.connection.execute("CREATE TABLE IF NOT EXISTS mine (chat_id TEXT, seq INTEGER, text TEXT)")
inbox = Client(url, token, store=store).messages(follow=False, limit=7)
for copied, message in enumerate(inbox, start=1):
    store.connection.execute(
        "INSERT INTO mine VALUES (?, ?, ?)", (message.chat_id, message.seq, message.text)
    )
    if copied == int(after):
        os.kill(os.getpid(), signal.SIGKILL)
