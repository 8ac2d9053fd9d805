"""A whole stack that lives in the past, whose clock is moved on while it runs."""
