-- A user's objects that hold some of the seqs of a span, in order: nothing else is ever asked for.
SELECT s.hour, o.first_seq, o.last_seq, o.count, o.size, o.sha256, o.generation, o.next_sha256
  FROM archive_segment s
  JOIN archive_hourobject o ON o.segment_id = s.id AND o.user_id = %(user)s
 WHERE s.chat_id = %(chat)s AND s.purged_at IS NULL
   AND s.first_seq <= %(last)s
   AND s.first_seq >= coalesce((SELECT max(b.first_seq) FROM archive_segment b
                                 WHERE b.chat_id = %(chat)s AND b.first_seq <= %(first)s), 0)
   AND o.last_seq >= %(first)s
 ORDER BY s.first_seq;
