-- Keeps what the client_ids of messages about to leave the database stand for.
INSERT INTO messaging_trimmedsend (chat_id, seq, sender_id, client_id, sent_at, digest)
SELECT m.chat_id, m.seq, m.sender_id, m.client_id, m.sent_at,
       CASE m.kind WHEN 'removed' THEN NULL ELSE sha256(convert_to(m.text, 'UTF8')) END
  FROM messaging_message m
 WHERE m.chat_id = %(chat)s AND m.seq BETWEEN %(first)s AND %(last)s AND m.client_id IS NOT NULL
ON CONFLICT DO NOTHING
RETURNING seq;
