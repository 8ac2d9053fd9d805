-- The newest messages of one sender, among the last of each of the chats they were in that were
-- written to last. Walks the index on (chat, seq), at most chats × messages entries of it.
SELECT found.id
  FROM (
    SELECT chat.id, chat.last_seq
      FROM messaging_chat AS chat
     WHERE chat.id IN (SELECT chat_id FROM messaging_membership WHERE user_id = %(sender)s)
     ORDER BY chat.last_at DESC
     LIMIT %(chats)s
  ) AS recent
 CROSS JOIN LATERAL (
    SELECT message.id
      FROM messaging_message AS message
     WHERE message.chat_id = recent.id
       AND message.seq > recent.last_seq - %(messages)s
       AND message.sender_id = %(sender)s
  ) AS found
 ORDER BY found.id DESC
 LIMIT %(most)s
