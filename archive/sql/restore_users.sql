-- Accounts of a snapshot that are not there yet; one whose name is taken by another is left out.
INSERT INTO accounts_user (id, username, username_key, display_name, password, is_active, banned_at,
                           banned_until, ban_reason, is_staff, is_superuser, date_joined)
SELECT id, username, username_key, display_name, password, is_active, banned_at,
       banned_until, coalesce(ban_reason, ''), is_staff, is_superuser, date_joined
  FROM jsonb_to_recordset(%(rows)s::jsonb) AS r(
         id uuid, username text, username_key text, display_name text, password text,
         is_active boolean, banned_at timestamptz, banned_until timestamptz,
         ban_reason text, is_staff boolean, is_superuser boolean, date_joined timestamptz)
ON CONFLICT DO NOTHING
RETURNING id;
