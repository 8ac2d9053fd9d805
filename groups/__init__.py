"""Groups: members, roles, messages to a group."""
