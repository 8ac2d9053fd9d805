-- Messages by their seqs, with each chat's last seq in the same snapshot.
--
-- Parameters: numbers, chats, firsts, lasts: arrays, one place per span. The inner query is kept
-- apart by its order, so that each span is one walk along the index, whatever the planner believes
-- of a chat's size. Times come in microseconds since 1970 (a double holds them exactly until 2106):
-- Django's conversion of a timestamp runs in Python, fifty times a page.
SELECT span.number, c.last_seq AS end_seq,
       m.seq, m.sender_id, m.kind, m.text, m.at, m.client_id, m.subject_id
  FROM unnest(%(numbers)s::bigint[], %(chats)s::uuid[], %(firsts)s::bigint[], %(lasts)s::bigint[])
       AS span(number, chat, first, last)
  JOIN messaging_chat c ON c.id = span.chat
 CROSS JOIN LATERAL (
       SELECT i.seq, i.sender_id::text AS sender_id, i.kind, i.text,
              (date_part('epoch', i.sent_at) * 1e6)::bigint AS at, i.client_id,
              i.subject_id::text AS subject_id
         FROM messaging_message i
        WHERE i.chat_id = span.chat AND i.seq BETWEEN span.first AND span.last
        ORDER BY i.seq) AS m;
