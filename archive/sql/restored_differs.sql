-- Messages that are in the database otherwise than in the bucket; erased ones aside.
SELECT r.seq FROM restored r
  JOIN messaging_message m ON m.chat_id = r.chat_id AND m.seq = r.seq
 WHERE m.kind <> 'removed'
   AND (m.sender_id, m.kind, m.text, m.sent_at) IS DISTINCT FROM
       (r.sender_id, r.kind, r.text, r.sent_at)
 LIMIT 20;
