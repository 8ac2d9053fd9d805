-- Takes a chat's row, so that nobody writes into it while its messages come back, and says whether
-- the database has any of them.
SELECT EXISTS (SELECT FROM messaging_message m WHERE m.chat_id = c.id)
  FROM messaging_chat c WHERE c.id = %(chat)s
   FOR NO KEY UPDATE OF c;
