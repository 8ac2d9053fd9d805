-- Adds the messages of a stretch of ids to the figures of their hours, and who wrote them: one pass
-- over the new rows by the primary key, whatever the table's size.
--
-- Guarantees, while the caller holds the progress row: each message is counted once, system
-- messages never. `after` and `upto` are ids, `since` a time: what was sent before it has been
-- counted under another id (a restore writes messages again).
WITH fresh AS MATERIALIZED (
  SELECT date_bin('1 hour', sent_at, 'epoch'::timestamptz) AS hour, sender_id, count(*) AS number
    FROM messaging_message
   WHERE id > %(after)s AND id <= %(upto)s AND sent_at >= %(since)s AND kind <> 'system'
   GROUP BY 1, 2
), newly AS (
  INSERT INTO overview_writer (hour, user_id)
  SELECT hour, sender_id FROM fresh
  ON CONFLICT (hour, user_id) DO NOTHING
  RETURNING hour
)
INSERT INTO overview_figure (name, at, value)
SELECT 'messages', hour, sum(number) FROM fresh GROUP BY hour
UNION ALL
SELECT 'writers', hour, count(*) FROM newly GROUP BY hour
ON CONFLICT (name, at) DO UPDATE SET value = overview_figure.value + excluded.value;
