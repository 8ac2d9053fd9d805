"""The audit log: who did what to whom, why and from where. It only grows."""
