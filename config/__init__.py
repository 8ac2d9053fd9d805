"""Settings, entry points and the local stack: what ties the rooms together."""
