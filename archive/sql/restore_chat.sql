-- Takes a chat's row, so that nobody writes into it while its messages come back, and says whether
-- the database has any of them. A COPY takes as long as the reading of its objects does: a limit of
-- the role's or the database's on statements does not hold in this transaction.
SELECT EXISTS (SELECT FROM messaging_message m WHERE m.chat_id = c.id),
       set_config('statement_timeout', '0', true)
  FROM messaging_chat c WHERE c.id = %(chat)s
   FOR NO KEY UPDATE OF c;
