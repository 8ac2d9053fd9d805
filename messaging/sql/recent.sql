-- A user's chats for the index in the cache: the latest first, and every wide one.
--
-- A chat that they have left counts as of their leaving, since what it ended with may be news to
-- them; it is told apart by `first_seq` null. One that they came back to is one that they are in.
SELECT c.number, c.id, coalesce(s.left_at, c.last_at) AS last_at,
       c.wide_from IS NOT NULL AND s.last_seq IS NULL AS wide,
       CASE WHEN s.last_seq IS NULL THEN s.first_seq END AS first_seq
  FROM messaging_membership s JOIN messaging_chat c ON c.id = s.chat_id
 WHERE s.user_id = %(user)s
   AND (s.last_seq IS NULL OR NOT EXISTS (
         SELECT FROM messaging_membership later
          WHERE later.user_id = s.user_id AND later.chat_id = s.chat_id
            AND later.first_seq > s.first_seq))
 ORDER BY last_at DESC
 LIMIT %(most)s;
