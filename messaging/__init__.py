"""The core: chats, memberships, messages; the log, the tiers, the cursor, the inbox."""
