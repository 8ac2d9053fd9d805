-- What a beat of the sweeper begins with: the clock, the epoch, the mark, and how far the log is.
--
-- `newest` is the largest message id that is committed. Who writes a message holds its chat's row,
-- hence has a transaction id, before it takes a message's id: so each id up to `newest` belongs to
-- a transaction below `next_transaction`, and once `oldest_transaction` has come that far all of
-- them have ended, and what they wrote is seen by the statements that come after.
SELECT statement_timestamp() AS now, state.epoch,
       coalesce(mark.number, 0) AS number, mark.grown_at, coalesce(mark.looks, '[]') AS looks,
       coalesce((SELECT max(m.id) FROM messaging_message m), 0) AS newest,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS next_transaction,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS oldest_transaction
  FROM messaging_logstate state LEFT JOIN messaging_databasemark mark ON mark.id = 1
 WHERE state.id = 1;
