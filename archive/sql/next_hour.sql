-- The next hour of a chat that is not whole in cold storage: one row, or none when all is there.
--
-- Parameters: chat, cutoff (messages sent before it are to be taken). The hour is that of the first
-- message above the watermark; `first_seq` is the first of its segment where one stands already,
-- `new_seq` the first that is new, `last_seq` the last one before the hour's end and the cutoff;
-- `end_seq` is the chat's last one.
WITH known AS (
  SELECT c.id, c.last_seq, c.db_seq, coalesce(w.archived_seq, c.start_seq - 1) + 1 AS new_seq
    FROM messaging_chat c LEFT JOIN archive_watermark w ON w.chat_id = c.id
   WHERE c.id = %(chat)s
), upcoming AS (
  SELECT known.*, date_bin('1 hour', m.sent_at, 'epoch'::timestamptz) AS hour
    FROM known JOIN messaging_message m ON m.chat_id = known.id AND m.seq = known.new_seq
   WHERE m.sent_at < %(cutoff)s
)
SELECT upcoming.hour, upcoming.new_seq, upcoming.db_seq, upcoming.last_seq AS end_seq,
       s.id AS segment_id,
       CASE WHEN s.id IS NULL THEN upcoming.new_seq
            WHEN s.purged_at IS NULL THEN s.first_seq
            ELSE greatest(s.first_seq, upcoming.db_seq) END AS first_seq,
       messaging_seq_after(
         upcoming.id, upcoming.new_seq, upcoming.last_seq,
         least(upcoming.hour + interval '1 hour', %(cutoff)s) - interval '1 microsecond'
       ) - 1 AS last_seq
  FROM upcoming
  LEFT JOIN archive_segment s ON s.chat_id = upcoming.id AND s.hour = upcoming.hour;
