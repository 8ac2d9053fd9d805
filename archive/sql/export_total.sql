-- How many messages a user may read, over all their stretches and in all tiers.
SELECT coalesce(sum(greatest(
         0, coalesce(s.last_seq, c.last_seq) - greatest(s.first_seq, c.start_seq) + 1)), 0)::bigint
  FROM messaging_membership s JOIN messaging_chat c ON c.id = s.chat_id
 WHERE s.user_id = %(user)s;
