-- What an operator asks of PostgreSQL itself, of this database alone: one row, nothing is counted
-- but connections, files and the few times that the database went back. Backends of other users are seen as far as our role may see them.
WITH backends AS (
  SELECT coalesce(state, 'other') AS state, xact_start, wait_event_type
    FROM pg_stat_activity
   WHERE datname = current_database() AND pid <> pg_backend_pid()
)
SELECT current_setting('max_connections')::int AS connections_max,
       (SELECT json_object_agg(state, number)
          FROM (SELECT state, count(*) AS number FROM backends GROUP BY state) AS states
       ) AS connections,
       (SELECT coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)), 0)
          FROM backends WHERE state <> 'idle')::float AS longest_transaction,
       (SELECT count(*) FROM backends WHERE wait_event_type = 'Lock') AS waiting,
       d.xact_commit, d.xact_rollback, d.deadlocks, d.blks_hit, d.blks_read,
       pg_database_size(current_database()) AS size,
       (SELECT count(*) FROM messaging_databasereset) AS resets,
       (SELECT extract(epoch FROM max(at)) FROM messaging_databasereset)::float AS reset_at
  FROM pg_stat_database AS d
 WHERE d.datname = current_database();
