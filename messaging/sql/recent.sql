-- A user's chats for the index in the cache: the latest ones, and every wide one that they are in.
--
-- A chat that they have left counts as of their leaving, since what it ended with may be news to
-- them; it is told apart by `first_seq` null. One that they came back to is one that they are in.
-- Wide ones come beside the limit: nobody tells the index of them, so it must name them all.
WITH mine AS (
  SELECT c.number, c.id, coalesce(s.left_at, c.last_at) AS last_at,
         c.wide_from IS NOT NULL AND s.last_seq IS NULL AS wide,
         CASE WHEN s.last_seq IS NULL THEN s.first_seq END AS first_seq
    FROM messaging_membership s JOIN messaging_chat c ON c.id = s.chat_id
   WHERE s.user_id = %(user)s
     AND (s.last_seq IS NULL OR NOT EXISTS (
           SELECT FROM messaging_membership later
            WHERE later.user_id = s.user_id AND later.chat_id = s.chat_id
              AND later.first_seq > s.first_seq))
)
SELECT * FROM mine WHERE wide
UNION ALL
(SELECT * FROM mine WHERE NOT wide ORDER BY last_at DESC LIMIT %(most)s);
