-- What the cache keeps of a chat besides its messages: kind, start and what it is called.
SELECT c.id, c.number, c.kind, c.name, c.start_seq,
       c.low_id, c.high_id, low.display_name AS low_name, high.display_name AS high_name
  FROM messaging_chat c
  LEFT JOIN accounts_user low ON low.id = c.low_id
  LEFT JOIN accounts_user high ON high.id = c.high_id
 WHERE c.id = ANY(%(chats)s::uuid[]);
