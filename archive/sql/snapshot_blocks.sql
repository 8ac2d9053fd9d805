-- Who blocks whom, by the row's number.
SELECT b.id, row_to_json(r)::text
  FROM accounts_block b
 CROSS JOIN LATERAL (SELECT b.id, b.blocker_id, b.blocked_id, b.created_at) r
 WHERE b.id > %(after)s ORDER BY b.id LIMIT %(most)s;
