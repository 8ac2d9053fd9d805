-- What a beat of the sweeper begins with: the clock, the epoch, the mark, and how far the log is.
--
-- `newest` is the largest message id that is committed. Who writes a message holds its chat's row,
-- hence has a transaction id, before it takes a message's id: so each id up to `newest` belongs to
-- a transaction below `next_transaction`, and once `oldest_transaction` has come that far all of
-- them have ended, and what they wrote is seen by the statements that come after.
--
-- `identity` says which database this is. A fail-over changes the timeline, another server the
-- system identifier, a database made anew its id, a dump restored into it the tables' files. So
-- does a table that is rewritten in place, which loses nothing: then it is only looked at closely.
-- A standby answers with what it has replayed: nothing is vouched for by it.
SELECT statement_timestamp() AS now, state.epoch,
       coalesce(mark.number, 0) AS number, mark.grown_at, coalesce(mark.looks, '[]') AS looks,
       coalesce((SELECT max(m.id) FROM messaging_message m), 0) AS newest,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next_transaction,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest_transaction,
       pg_is_in_recovery() AS standby,
       concat_ws('.',
         (SELECT system_identifier FROM pg_control_system()),
         CASE WHEN pg_is_in_recovery() THEN 'standby'
              ELSE substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8) END,
         (SELECT oid FROM pg_database WHERE datname = current_database()),
         pg_relation_filenode('messaging_message'), pg_relation_filenode('messaging_chat'))
       AS identity
  FROM messaging_logstate state LEFT JOIN messaging_databasemark mark ON mark.id = 1
 WHERE state.id = 1;
