-- Accounts with their password hashes, by id. No token: who comes back logs in again.
SELECT u.id, row_to_json(r)::text
  FROM accounts_user u
 CROSS JOIN LATERAL (SELECT u.id, u.username, u.username_key, u.display_name, u.password,
                            u.is_active, u.banned_at, u.banned_until, u.ban_reason,
                            u.is_staff, u.is_superuser, u.date_joined) r
 WHERE u.id > %(after)s ORDER BY u.id LIMIT %(most)s;
