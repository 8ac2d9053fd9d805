-- The next chats, by id, with objects of hours that ended by a moment.
SELECT DISTINCT c.id, c.number
  FROM archive_segment s JOIN messaging_chat c ON c.id = s.chat_id
 WHERE s.hour <= %(before)s - interval '1 hour' AND c.id > %(after)s
   AND (s.purged_at IS NULL OR EXISTS (SELECT FROM archive_hourobject o WHERE o.segment_id = s.id))
 ORDER BY c.id
 LIMIT %(most)s;
