-- The chats and hours that the index has objects of a user of.
--
-- Parameters: user.
SELECT s.chat_id, s.hour
  FROM archive_hourobject o JOIN archive_segment s ON s.id = o.segment_id
 WHERE o.user_id = %(user)s AND s.purged_at IS NULL
   AND NOT EXISTS (SELECT FROM archive_eraseduser e WHERE e.user_id = o.user_id)
 ORDER BY s.hour, s.chat_id;
