-- Says how far a chat is in cold storage after its messages came back, and forgets what the client_ids
-- of messages stood for whose texts are rows again.
WITH forgotten AS (
  DELETE FROM messaging_trimmedsend WHERE chat_id = %(chat)s AND seq >= %(first)s AND NOT removed
)
INSERT INTO archive_watermark (chat_id, archived_seq) VALUES (%(chat)s, %(archived)s)
ON CONFLICT (chat_id) DO UPDATE SET archived_seq = excluded.archived_seq
RETURNING archived_seq;
