-- The last message of each chat written to since a moment, and what changed in its membership.
--
-- Parameters: since (a moment far enough back, see the sweeper). Ids are given out in about the
-- order of `sent_at`, so the walk over the primary key stops at the first message dated before.
-- `changes` lists the messages that changed a membership, "seq user,..."; `widened` is true when
-- the chat became wide with one of them: its members don't know yet that they have to ask.
WITH fresh AS (
  SELECT m.chat_id, max(m.seq) AS seq, min(m.seq) AS first_seq,
         string_agg(m.seq::text || ' ' || m.subject_id::text, ',')
           FILTER (WHERE m.subject_id IS NOT NULL) AS changes
    FROM messaging_message m
   WHERE m.id > coalesce((SELECT e.id FROM messaging_message e WHERE e.sent_at < %(since)s
                           ORDER BY e.id DESC LIMIT 1), 0)
   GROUP BY m.chat_id
)
SELECT c.id, c.number, c.wide_from IS NOT NULL AS wide, coalesce(fresh.changes, '') AS changes,
       coalesce(c.wide_from BETWEEN fresh.first_seq AND fresh.seq, false) AS widened,
       m.seq, m.sender_id, m.kind, m.text, m.sent_at, m.client_id, m.subject_id
  FROM fresh
  JOIN messaging_chat c ON c.id = fresh.chat_id
  JOIN messaging_message m ON m.chat_id = fresh.chat_id AND m.seq = fresh.seq;
