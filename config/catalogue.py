"""The figures of /metrics that are asked for when it is read: names, texts, and where from.

What is counted while requests are answered is declared where it is counted (`common/counts.py`).
Names are as Prometheus would have them: base units, `_total` for what only grows.
"""

from __future__ import annotations

from typing import NamedTuple


class Figure(NamedTuple):
    """One figure: its name, what it is, and the names of its labels."""

    name: str
    text: str
    labels: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Return `counter` for what only grows, else `gauge`."""
        return "counter" if self.name.endswith("_total") else "gauge"


BUILD = Figure("strata_build_info", "1, and what runs.", ("version", "python", "django"))
UP = Figure("strata_up", "Whether a dependency answers: 1 or 0.", ("dependency",))
ANSWER = Figure("strata_answer_seconds", "How long its answer took.", ("dependency",))
SEEN = Figure(
    "strata_last_answer_timestamp_seconds", "When it last gave a good one.", ("dependency",)
)
FIGURES_UP = Figure(
    "strata_figures_up", "Whether these figures could be asked for, by where they are.", ("source",)
)
ROWS = Figure(
    "strata_rows", "Rows of a table, as PostgreSQL estimates them; nothing is counted.", ("table",)
)
SWEEPER = Figure(
    "strata_sweeper_age_seconds", "How long ago the sweeper last vouched for the cache."
)
HEARTBEAT = Figure(
    "strata_heartbeat_age_seconds",
    "How long ago a process last said that it lives: sweeper, worker, beat.",
    ("process",),
)
WORKERS = (
    Figure("strata_worker_resident_bytes", "Memory of a web worker.", ("pid",)),
    Figure("strata_worker_start_time_seconds", "When it started, since 1970.", ("pid",)),
    Figure("strata_worker_threads", "Its threads.", ("pid",)),
    Figure("strata_worker_cpu_seconds_total", "CPU time of a web worker.", ("pid",)),
)

CONNECTIONS = Figure(
    "strata_database_connections", "Connections to our database, by state.", ("state",)
)
TRANSACTIONS = Figure(
    "strata_database_transactions_total", "Transactions, by how they ended.", ("outcome",)
)
BLOCKS = Figure(
    "strata_database_blocks_total", "Pages that statements needed, by where from.", ("source",)
)
SERVER = {
    "connections_max": Figure(
        "strata_database_connections_max", "Connections that PostgreSQL takes at most."
    ),
    "longest_transaction": Figure(
        "strata_database_longest_transaction_seconds", "Age of the oldest open transaction."
    ),
    "waiting": Figure("strata_database_lock_waiters", "Backends that wait for a lock."),
    "deadlocks": Figure("strata_database_deadlocks_total", "Deadlocks."),
    "size": Figure("strata_database_size_bytes", "Size of our database on disk."),
    "resets": Figure(
        "strata_database_resets_total", "Times that it was found to have gone back in time."
    ),
    "reset_at": Figure(
        "strata_database_reset_timestamp_seconds", "When it was last found to have."
    ),
}
"""Column of `sql/server.sql` -> figure."""

LAG = Figure(
    "strata_backup_lag_seconds",
    "How long ago the newest hour ended that cold storage holds whole.",
)
RETENTION = Figure(
    "strata_retention_seconds", "How long cold storage keeps a message (setting); 0 for ever."
)
COLD = {
    "complete_until": Figure(
        "strata_backup_complete_timestamp_seconds", "The end of that hour, since 1970."
    ),
    "waiting": Figure("strata_backup_waiting_messages", "Messages that cold storage has not yet."),
    "oldest_hour": Figure(
        "strata_archive_oldest_timestamp_seconds", "The oldest hour that cold storage holds."
    ),
    "erasures": Figure("strata_erasures_waiting", "Messages to erase that still are somewhere."),
    "backup_at": Figure("strata_backup_run_timestamp_seconds", "When a backup last ended."),
    "backup_messages": Figure("strata_backup_run_messages", "Messages that it took."),
    "backup_objects": Figure("strata_backup_run_objects", "Objects that it wrote."),
    "backup_missing": Figure(
        "strata_backup_missing_objects", "Objects that the index has and the bucket did not list."
    ),
    "backup_failed": Figure("strata_backup_failed_chats", "What it left for the next."),
    "purge_at": Figure("strata_retention_run_timestamp_seconds", "When a purge last ended."),
    "purge_due": Figure("strata_retention_due_objects", "Objects that it found past retention."),
    "purge_deleted": Figure("strata_retention_deleted_objects", "Objects that it deleted."),
    "purge_freed": Figure("strata_retention_freed_bytes", "Bytes that it freed."),
    "purge_failed": Figure("strata_retention_failed_chats", "Chats that it left for the next."),
    "drill_at": Figure("strata_drill_run_timestamp_seconds", "When a drill last ended."),
    "drill_ok": Figure("strata_drill_ok", "Whether all that came back in it was right: 1 or 0."),
    "drill_restored": Figure("strata_drill_restored_messages", "Messages that came back."),
    "drill_differing": Figure(
        "strata_drill_differing_messages", "Messages that came back otherwise."
    ),
    "drill_missing": Figure(
        "strata_drill_missing_messages",
        "Messages that only cold storage should have, and that did not come back.",
    ),
    "drill_lost": Figure(
        "strata_drill_lost_messages", "Messages that a loss of the database would have cost."
    ),
    "drill_lost_seconds": Figure(
        "strata_drill_lost_seconds", "How long before it the oldest of them was sent."
    ),
}
"""Column of `sql/cold.sql` -> figure."""

PEOPLE = {
    "cases": Figure("strata_reports_open", "Reported messages and users still to be decided on."),
    "oldest_case": Figure("strata_reports_oldest_age_seconds", "How long ago the oldest came."),
}
"""Column of `sql/people.sql` -> figure."""

VERIFIED = {
    "at": Figure("strata_verify_run_timestamp_seconds", "When a verify last ended."),
    "objects": Figure("strata_verify_read_objects", "Objects that it read."),
    "wrong": Figure("strata_verify_wrong_objects", "Those that were not what was written."),
    "repaired": Figure("strata_verify_repaired_objects", "Those that it wrote again."),
    "failed": Figure("strata_verify_failures", "What else it could not do or found wrong."),
}
"""Field of the cache's hash of the last verify -> figure."""

MEASURED = {
    "segments": Figure("strata_archive_segments", "Hours of chats in cold storage."),
    "objects": Figure("strata_archive_objects", "Hour objects in the bucket, by our index."),
    "bytes": Figure("strata_archive_bytes", "Their size in the bucket."),
    "copies": Figure("strata_archive_message_copies", "Messages in them, once for each reader."),
    "at": Figure("strata_archive_measured_timestamp_seconds", "When these four were counted."),
}
"""Field of the cache's hash of measurements -> figure."""

INFO = {
    "used_memory": Figure("strata_cache_memory_bytes", "Memory that the cache uses."),
    "maxmemory": Figure("strata_cache_memory_max_bytes", "Memory it may use; 0 for no limit."),
    "evicted_keys": Figure("strata_cache_evicted_keys_total", "Entries it gave up for room."),
    "connected_clients": Figure("strata_cache_clients", "Connections to it."),
    "uptime_in_seconds": Figure("strata_cache_uptime_seconds", "How long ago it started."),
}
"""Field of Valkey's INFO -> figure."""
KEPT = {
    "keys": Figure("strata_cache_keys", "Keys in it."),
    "queued": Figure("strata_queue_length", "Tasks that no worker has taken yet."),
    "oldest": Figure("strata_queue_oldest_age_seconds", "How long ago the oldest was sent."),
    "unacknowledged": Figure("strata_queue_unacknowledged", "Tasks that workers are busy with."),
}
SWEEPS = Figure("strata_sweeper_sweeps_total", "Sweeps, of all sweepers.")
REPAIRS = Figure(
    "strata_sweeper_repairs_total", "What they made good in the cache, by kind.", ("kind",)
)
EVICTED = Figure(
    "strata_hot_tier_evicted_total", "Chats, indexes and objects that they gave up for room."
)
REPAIR_KINDS = {"mended": "chat", "forgotten": "index", "new_generation": "generation"}
TASK_RUNS = Figure("strata_task_runs_total", "Runs of a task, by outcome.", ("task", "outcome"))
TASK_SECONDS = Figure("strata_task_seconds_total", "Time that its runs took.", ("task",))
TASK_LAST = Figure("strata_task_last_run_timestamp_seconds", "When it last ended.", ("task",))
TASK_LAST_OK = Figure(
    "strata_task_last_success_timestamp_seconds", "When it last ended well.", ("task",)
)

ASKED: tuple[Figure, ...] = (
    BUILD, UP, ANSWER, SEEN, FIGURES_UP, ROWS, SWEEPER, HEARTBEAT, *WORKERS,
    CONNECTIONS, TRANSACTIONS, BLOCKS, *SERVER.values(), LAG, RETENTION, *COLD.values(),
    *PEOPLE.values(), *VERIFIED.values(),
    *MEASURED.values(), *INFO.values(), *KEPT.values(), SWEEPS, REPAIRS, EVICTED,
    TASK_RUNS, TASK_SECONDS, TASK_LAST, TASK_LAST_OK,
)  # fmt: skip
