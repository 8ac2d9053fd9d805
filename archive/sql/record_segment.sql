-- Records a segment whose objects have all been read back, and moves the chat's watermark to it.
WITH moved AS (
  INSERT INTO archive_watermark (chat_id, archived_seq) VALUES (%(chat)s, %(last)s)
  ON CONFLICT (chat_id) DO UPDATE
    SET archived_seq = greatest(archive_watermark.archived_seq, excluded.archived_seq)
)
INSERT INTO archive_segment (chat_id, hour, first_seq, last_seq, first_at, last_at)
VALUES (%(chat)s, %(hour)s, %(first)s, %(last)s, %(first_at)s, %(last_at)s)
ON CONFLICT (chat_id, hour) DO UPDATE
  SET first_seq = excluded.first_seq, last_seq = excluded.last_seq, last_at = excluded.last_at,
      verified_at = clock_timestamp(), purged_at = NULL
RETURNING id;
