-- A user's chats for the index in the cache: the latest first, and every wide one.
SELECT c.number, c.id, c.last_at, c.wide_from IS NOT NULL AS wide, s.first_seq
  FROM messaging_membership s JOIN messaging_chat c ON c.id = s.chat_id
 WHERE s.user_id = %(user)s AND s.last_seq IS NULL
 ORDER BY c.last_at DESC
 LIMIT %(most)s;
