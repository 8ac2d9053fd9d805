-- Messages by their seqs, with each chat's last seq in the same snapshot.
--
-- Parameters: chats, firsts, lasts: three arrays, one place per span. Ordered by chat and seq.
SELECT span.chat, c.last_seq AS end_seq,
       m.seq, m.sender_id, m.kind, m.text, m.sent_at, m.client_id, m.subject_id
  FROM unnest(%(chats)s::uuid[], %(firsts)s::bigint[], %(lasts)s::bigint[])
       AS span(chat, first, last)
  JOIN messaging_chat c ON c.id = span.chat
  JOIN messaging_message m ON m.chat_id = span.chat AND m.seq BETWEEN span.first AND span.last
 ORDER BY span.chat, m.seq;
