"""`make demo`: dialogs in many languages through the running server, and every message checked."""
