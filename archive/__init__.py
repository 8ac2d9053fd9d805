"""The cold tier."""
