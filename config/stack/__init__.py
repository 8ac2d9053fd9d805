"""The local stack: real servers from PyPI wheels, and the supervisor that `make run` starts."""
