-- When single messages were sent, in microseconds: a row for each that the database has.
--
-- Parameters: numbers, chats, seqs: arrays, one place per message.
SELECT wanted.number, (date_part('epoch', m.sent_at) * 1e6)::bigint AS at
  FROM unnest(%(numbers)s::bigint[], %(chats)s::uuid[], %(seqs)s::bigint[])
       AS wanted(number, chat, seq)
  JOIN messaging_message m ON m.chat_id = wanted.chat AND m.seq = wanted.seq;
