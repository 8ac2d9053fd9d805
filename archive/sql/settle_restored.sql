-- Sets a chat's bounds by the messages that are there: the last one, and the first of those that
-- reach it without a gap. Returns that first seq and the smallest there is.
WITH listed AS (
  SELECT m.seq, m.sent_at, m.seq - row_number() OVER (ORDER BY m.seq) AS run
    FROM messaging_message m WHERE m.chat_id = %(chat)s
), ends AS (
  SELECT max(seq) AS last_seq, max(sent_at) AS last_at, min(seq) AS lowest, max(run) AS run
    FROM listed
), bounds AS (
  SELECT ends.*, (SELECT min(l.seq) FROM listed l WHERE l.run = ends.run) AS first_seq FROM ends
)
UPDATE messaging_chat c
   SET last_seq = greatest(c.last_seq, b.last_seq),
       last_at = CASE c.last_seq WHEN 0 THEN b.last_at ELSE greatest(c.last_at, b.last_at) END,
       db_seq = b.first_seq, start_seq = b.first_seq
  FROM bounds b WHERE c.id = %(chat)s AND b.last_seq IS NOT NULL
RETURNING b.first_seq, b.lowest, b.last_seq;
