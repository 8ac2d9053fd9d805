"""Who: users, tokens, blocks."""
