-- Messages whose text the bucket has lost to an erasure lose it in the database too.
UPDATE messaging_message m SET kind = 'removed', text = ''
  FROM restored r
 WHERE m.chat_id = r.chat_id AND m.seq = r.seq AND r.kind = 'removed' AND m.kind = 'text'
   AND m.sender_id = r.sender_id AND m.sent_at = r.sent_at
RETURNING m.seq;
