-- Messages by their seqs as in lines.sql, of each chat only as many bytes as there is room for.
--
-- Parameters: numbers, chats, firsts, lasts, rooms: arrays, one place per span, a chat's spans with
-- the same room; sign (1: the first ones, -1: the last ones); frame: the least that a message
-- takes beside its text. A chat's rows end with the one that no longer fits, so that who reads knows why.
-- Long texts lie apart from their rows and only their lengths are looked at here: what does not fit
-- is never fetched.
SELECT number, end_seq, seq, sender_id, kind, text, at, client_id, subject_id
  FROM (
    SELECT span.number, span.room, c.last_seq AS end_seq,
           m.seq, m.sender_id, m.kind, m.text, m.at, m.client_id, m.subject_id,
           sum(octet_length(m.text) + %(frame)s) OVER near AS upto,
           octet_length(m.text) + %(frame)s AS size
      FROM unnest(%(numbers)s::bigint[], %(chats)s::uuid[], %(firsts)s::bigint[],
                  %(lasts)s::bigint[], %(rooms)s::bigint[])
           AS span(number, chat, first, last, room)
      JOIN messaging_chat c ON c.id = span.chat
     CROSS JOIN LATERAL (
           SELECT i.seq, i.sender_id::text AS sender_id, i.kind, i.text,
                  (date_part('epoch', i.sent_at) * 1e6)::bigint AS at, i.client_id,
                  i.subject_id::text AS subject_id
             FROM messaging_message i
            WHERE i.chat_id = span.chat AND i.seq BETWEEN span.first AND span.last
            ORDER BY i.seq) AS m
    WINDOW near AS (PARTITION BY span.number ORDER BY m.seq * %(sign)s ROWS UNBOUNDED PRECEDING)
  ) AS weighed
 WHERE upto - size <= room;
