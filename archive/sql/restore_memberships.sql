-- Stretches of membership that are not there yet, for a chat whose last seq is settled.
--
-- What came after the last message that was backed up is lost: who joined with a lost message sees
-- from the next one on, and who was removed with one stays removed.
INSERT INTO messaging_membership (chat_id, user_id, role, first_seq, last_seq, joined_at, left_at,
                                  left_owner_id)
SELECT r.chat_id, r.user_id, r.role, least(r.first_seq, c.last_seq + 1),
       CASE WHEN r.last_seq IS NOT NULL THEN least(r.last_seq, c.last_seq) END, r.joined_at, r.left_at,
       r.left_owner_id
  FROM jsonb_to_recordset(%(rows)s::jsonb) AS r(
         chat_id uuid, user_id uuid, role text, first_seq bigint, last_seq bigint,
         joined_at timestamptz, left_at timestamptz, left_owner_id uuid)
  JOIN messaging_chat c ON c.id = r.chat_id
  JOIN accounts_user u ON u.id = r.user_id
 WHERE (r.last_seq IS NULL OR least(r.last_seq, c.last_seq) >= r.first_seq)
   AND NOT EXISTS (SELECT FROM messaging_membership m
                    WHERE m.chat_id = r.chat_id AND m.user_id = r.user_id
                      AND (m.first_seq = least(r.first_seq, c.last_seq + 1)
                           OR (m.last_seq IS NULL AND r.last_seq IS NULL)))
ON CONFLICT DO NOTHING
RETURNING id;
