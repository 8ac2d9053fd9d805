-- Accounts with their password hashes, roles and second factors, by id. No token: who comes back logs
-- in again. A second factor's secret stands in the database encrypted, and goes on as it stands.
SELECT u.id, row_to_json(r)::text
  FROM accounts_user u
 CROSS JOIN LATERAL (
   SELECT u.id, u.username, u.username_key, u.display_name, u.password,
          u.is_active, u.banned_at, u.banned_until, u.ban_reason,
          u.is_staff, u.is_superuser, u.date_joined,
          (SELECT json_agg(g.name ORDER BY g.name)
             FROM accounts_user_groups m JOIN auth_group g ON g.id = m.group_id
            WHERE m.user_id = u.id) AS roles,
          (SELECT json_agg(json_build_object(
                    'name', d.name, 'key', d.key, 'step', d.step, 't0', d.t0, 'digits', d.digits,
                    'tolerance', d.tolerance, 'drift', d.drift, 'last_t', d.last_t) ORDER BY d.id)
             FROM otp_totp_totpdevice d
            WHERE d.user_id = u.id AND d.confirmed AND d.key LIKE '%%:%%') AS second_factors) r
 WHERE u.id > %(after)s ORDER BY u.id LIMIT %(most)s;
