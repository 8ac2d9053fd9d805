"""The admin as a whole: every page, with much in it, and with hostile things in it."""
