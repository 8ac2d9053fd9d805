"""The core: chats, memberships, messages; the tiers, the cursor, the inbox."""
