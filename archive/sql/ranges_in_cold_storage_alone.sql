-- Seqs that only cold storage has, by the index of hours: ranges of chats, in order.
--
-- Of an object that leaves seqs out (its reader was away) the index does not say which.
SELECT chat_id, lower(part), upper(part) - 1
  FROM (
    SELECT s.chat_id,
           unnest(range_agg(int8range(greatest(o.first_seq, c.start_seq),
                                      least(o.last_seq, c.db_seq - 1), '[]'))) AS part
      FROM archive_hourobject o
      JOIN archive_segment s ON s.id = o.segment_id
      JOIN messaging_chat c ON c.id = s.chat_id
     WHERE s.purged_at IS NULL
       AND o.count = o.last_seq - o.first_seq + 1
       AND greatest(o.first_seq, c.start_seq) <= least(o.last_seq, c.db_seq - 1)
       AND NOT EXISTS (SELECT FROM archive_eraseduser e WHERE e.user_id = o.user_id)
     GROUP BY s.chat_id
  ) AS parts
 ORDER BY 1, 2;
