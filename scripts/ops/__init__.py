"""Checks of ops/: the dashboard and the rules."""
