-- Chats, by their number.
SELECT c.number, row_to_json(r)::text
  FROM messaging_chat c
 CROSS JOIN LATERAL (SELECT c.id, c.number, c.kind, c.name, c.low_id, c.high_id, c.member_count,
                            c.wide_from, c.start_seq, c.last_seq, c.last_at, c.frozen_at,
                            c.frozen_reason, c.created_at) r
 WHERE c.number > %(after)s ORDER BY c.number LIMIT %(most)s;
