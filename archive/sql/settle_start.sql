-- Moves a chat's start to the first seq that any tier still holds, and forgets what lies before it:
-- the purged segments whose messages have left the database too.
-- Returns whether the start moved.
WITH held AS (
  SELECT c.id, c.start_seq, c.db_seq,
         greatest(c.start_seq, coalesce(
           (SELECT min(s.first_seq) FROM archive_segment s
             WHERE s.chat_id = c.id AND s.purged_at IS NULL AND s.first_seq < c.db_seq),
           c.db_seq)) AS begins
    FROM messaging_chat c WHERE c.id = %(chat)s
), gone AS (
  DELETE FROM archive_segment s USING held
   WHERE s.chat_id = held.id AND s.purged_at IS NOT NULL AND s.last_seq < held.db_seq
     AND NOT EXISTS (SELECT FROM archive_hourobject o WHERE o.segment_id = s.id)
)
UPDATE messaging_chat c SET start_seq = held.begins
  FROM held WHERE c.id = held.id AND c.start_seq < held.begins
RETURNING c.id;
