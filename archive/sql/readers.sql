-- Who could see which seqs of a part of a chat: one row per user and stretch, in order.
-- Who asked to be erased is nobody any more.
SELECT s.user_id, greatest(s.first_seq, %(first)s) AS first_seq,
       least(coalesce(s.last_seq, %(last)s), %(last)s) AS last_seq
  FROM messaging_membership s
 WHERE s.chat_id = %(chat)s AND s.first_seq <= %(last)s
   AND coalesce(s.last_seq, %(last)s) >= %(first)s
   AND NOT EXISTS (SELECT FROM archive_eraseduser e WHERE e.user_id = s.user_id)
 ORDER BY s.user_id, s.first_seq;
