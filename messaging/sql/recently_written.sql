-- The last message of each chat written to since a message id, and what changed in its membership.
--
-- Parameters: after (an id below which everything was committed at the last look, see the sweeper).
-- Ids alone say what is new: a message that comes back or in from elsewhere has a new id and an old
-- date, and so would one that is dated by a clock that was set back.
-- `changes` lists the messages that changed a membership, "seq user,..."; `widened` is true when
-- the chat became wide with one of them: its members don't know yet that they have to ask.
WITH fresh AS (
  SELECT m.chat_id, max(m.seq) AS seq, min(m.seq) AS first_seq,
         string_agg(m.seq::text || ' ' || m.subject_id::text, ',')
           FILTER (WHERE m.subject_id IS NOT NULL) AS changes
    FROM messaging_message m
   WHERE m.id > %(after)s
   GROUP BY m.chat_id
)
SELECT c.id, c.number, c.wide_from IS NOT NULL AS wide, coalesce(fresh.changes, '') AS changes,
       coalesce(c.wide_from BETWEEN fresh.first_seq AND fresh.seq, false) AS widened,
       m.seq, m.sender_id, m.kind, m.text, m.sent_at, m.client_id, m.subject_id
  FROM fresh
  JOIN messaging_chat c ON c.id = fresh.chat_id
  JOIN messaging_message m ON m.chat_id = fresh.chat_id AND m.seq = fresh.seq;
