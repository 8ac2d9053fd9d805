-- The messages of each chat whose text the bucket has lost to an erasure, and the database has not.
SELECT m.chat_id, array_agg(m.seq)
  FROM messaging_message m JOIN restored r ON m.chat_id = r.chat_id AND m.seq = r.seq
 WHERE r.kind = 'removed' AND m.kind = 'text'
   AND m.sender_id = r.sender_id AND m.sent_at = r.sent_at
 GROUP BY m.chat_id;
