-- The moment such that no commit to come can be dated at or before it, and the epoch.
--
-- A message is dated under its chat's lock, so after its transaction's start. A transaction that
-- this statement does not see running starts, and dates, later than the clock read first here.
-- Nothing that writes to the log runs longer than the margin, so an old transaction of another
-- kind (a dump) holds it back by no more than that. Must run in a statement of its own, before the
-- one that reads the messages: both in one would look at the messages first.
SELECT greatest(least(looked.at, (SELECT min(a.xact_start) FROM pg_stat_activity a
                                   WHERE a.datname = current_database()
                                     AND a.backend_type = 'client backend'
                                     AND a.pid <> pg_backend_pid()
                                     AND a.xact_start IS NOT NULL)),
                looked.at - %(margin)s) - interval '1 millisecond' AS moment,
       (SELECT epoch FROM messaging_logstate WHERE id = 1) AS epoch
  FROM (SELECT clock_timestamp() AS at) AS looked;
