-- Stretches of membership, by their row's number.
SELECT s.id, row_to_json(r)::text
  FROM messaging_membership s
 CROSS JOIN LATERAL (SELECT s.id, s.chat_id, s.user_id, s.role, s.first_seq, s.last_seq,
                            s.joined_at, s.left_at, s.left_owner_id) r
 WHERE s.id > %(after)s ORDER BY s.id LIMIT %(most)s;
