"""The Dockerfile's own lines, run without a container engine."""
