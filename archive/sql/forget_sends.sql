-- Forgets what some client_ids stood for whose messages lie before their chat's start, from the lowest
-- seq on: returns the last seq of these, and no row when there are none. Holds no lock that a sender
-- waits for.
WITH gone AS (
  DELETE FROM messaging_trimmedsend WHERE id IN (
    SELECT t.id FROM messaging_trimmedsend t JOIN messaging_chat c ON c.id = t.chat_id
     WHERE t.chat_id = %(chat)s AND t.seq > %(after)s AND t.seq < c.start_seq
     ORDER BY t.seq LIMIT %(most)s)
  RETURNING seq
)
SELECT max(seq) FROM gone HAVING count(*) > 0;
