-- The next chats, by id, that hold more in the database than their last messages.
SELECT c.id, c.number, c.last_seq - %(keep)s - c.db_seq + 1 AS pending
  FROM messaging_chat c
 WHERE c.id > %(after)s AND c.db_seq <= c.last_seq - %(keep)s
 ORDER BY c.id
 LIMIT %(most)s;
