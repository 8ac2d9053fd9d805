-- The first hour of a span in which something was sent after a moment: one row, or none.
--
-- `whole_hour` is true when all of it was, so that the object need not be read.
SELECT s.first_seq, s.first_at > %(at)s AS whole_hour,
       s.hour, o.first_seq, o.last_seq, o.count, o.size, o.sha256, o.generation, o.next_sha256
  FROM archive_segment s
  JOIN archive_hourobject o ON o.segment_id = s.id AND o.user_id = %(user)s
 WHERE s.chat_id = %(chat)s AND s.purged_at IS NULL
   AND s.first_seq <= %(last)s AND s.last_seq >= %(first)s AND o.last_seq >= %(first)s
   AND s.last_at > %(at)s
 ORDER BY s.first_seq
 LIMIT 1;
