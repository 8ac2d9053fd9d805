"""Reports, the queue of cases, roles, and private chats read for a recorded reason."""
