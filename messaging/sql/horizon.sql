-- The moment such that no commit to come can be dated at or before it, and the epoch.
--
-- A message is dated under its chat's lock, so after its transaction's start and after the lock gave
-- the transaction its id. One that has no id yet when this statement looks is dated later than the
-- clock read first here; readers (a dump, a poll) never have one and hold nothing back. Nothing that
-- writes to the log runs longer than the margin, so no writer of another kind holds it back by more
-- than that. Must run in a statement of its own, before the
-- one that reads the messages: both in one would look at the messages first.
SELECT greatest(least(looked.at, (SELECT min(a.xact_start) FROM pg_stat_activity a
                                   WHERE a.datname = current_database()
                                     AND a.backend_type = 'client backend'
                                     AND a.pid <> pg_backend_pid()
                                     AND a.backend_xid IS NOT NULL)),
                looked.at - %(margin)s) - interval '1 microsecond' AS moment,
       (SELECT epoch FROM messaging_logstate WHERE id = 1) AS epoch
  FROM (SELECT clock_timestamp() AS at) AS looked;
