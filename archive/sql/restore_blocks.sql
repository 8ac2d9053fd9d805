-- Blocks of a snapshot between users who are there.
INSERT INTO accounts_block (blocker_id, blocked_id, created_at)
SELECT r.blocker_id, r.blocked_id, r.created_at
  FROM jsonb_to_recordset(%(rows)s::jsonb) AS r(
         blocker_id uuid, blocked_id uuid, created_at timestamptz)
  JOIN accounts_user a ON a.id = r.blocker_id
  JOIN accounts_user b ON b.id = r.blocked_id
ON CONFLICT DO NOTHING
RETURNING id;
