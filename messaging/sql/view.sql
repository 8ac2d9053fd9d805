-- The stretches of a chat that a user may see, in order: no row when they were never in it.
SELECT c.number, c.start_seq, s.first_seq, coalesce(s.last_seq, c.last_seq) AS last_seq
  FROM messaging_membership s JOIN messaging_chat c ON c.id = s.chat_id
 WHERE s.chat_id = {} AND s.user_id = {}
 ORDER BY s.first_seq;
