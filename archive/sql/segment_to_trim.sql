-- The segment that the first message still in the database is in, when its hour has ended.
SELECT s.id, s.purged_at IS NOT NULL AS purged, c.db_seq,
       least(s.last_seq, c.last_seq - %(keep)s) AS until_seq
  FROM messaging_chat c
  JOIN archive_segment s ON s.chat_id = c.id AND c.db_seq BETWEEN s.first_seq AND s.last_seq
 WHERE c.id = %(chat)s AND c.db_seq <= c.last_seq - %(keep)s
   AND s.hour + interval '1 hour' <= clock_timestamp();
