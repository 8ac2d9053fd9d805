"""The core across the rooms: the log, the cursor, the tiers and the sweeper together."""
