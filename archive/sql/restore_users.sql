-- Accounts of a snapshot that are not there yet, with their roles and second factors; one whose name is
-- taken by another is left out, and a role of which there is none by now.
WITH given AS MATERIALIZED (
  SELECT *
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS r(
           id uuid, username text, username_key text, display_name text, password text,
           is_active boolean, banned_at timestamptz, banned_until timestamptz,
           ban_reason text, is_staff boolean, is_superuser boolean, date_joined timestamptz,
           roles jsonb, second_factors jsonb)
), added AS (
  INSERT INTO accounts_user (id, username, username_key, display_name, password, is_active, banned_at,
                             banned_until, ban_reason, is_staff, is_superuser, date_joined)
  SELECT id, username, username_key, display_name, password, is_active, banned_at,
         banned_until, coalesce(ban_reason, ''), is_staff, is_superuser, date_joined
    FROM given
  ON CONFLICT DO NOTHING
  RETURNING id
), roles AS (
  INSERT INTO accounts_user_groups (user_id, group_id)
  SELECT added.id, g.id
    FROM added
    JOIN given ON given.id = added.id
   CROSS JOIN LATERAL jsonb_array_elements_text(coalesce(nullif(given.roles, 'null'), '[]')) AS r(name)
    JOIN auth_group g ON g.name = r.name
  ON CONFLICT DO NOTHING
), factors AS (
  INSERT INTO otp_totp_totpdevice (user_id, name, confirmed, key, step, t0, digits, tolerance, drift,
                                   last_t, throttling_failure_count, created_at)
  SELECT added.id, d.name, true, d.key, d.step, d.t0, d.digits, d.tolerance, d.drift, d.last_t, 0,
         clock_timestamp()
    FROM added
    JOIN given ON given.id = added.id
   CROSS JOIN LATERAL jsonb_to_recordset(coalesce(nullif(given.second_factors, 'null'), '[]')) AS d(
           name text, key text, step smallint, t0 bigint, digits smallint, tolerance smallint,
           drift smallint, last_t bigint)
)
SELECT id FROM added;
