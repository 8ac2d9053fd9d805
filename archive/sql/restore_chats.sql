-- Chats of a snapshot that are not there yet, without messages so far. One whose number is another's
-- by now gets a new one; one between users who have a chat already is left out.
INSERT INTO messaging_chat (id, number, kind, name, low_id, high_id, member_count, wide_from,
                            last_at, created_at, frozen_at, frozen_reason)
SELECT r.id,
       CASE WHEN EXISTS (SELECT FROM messaging_chat o WHERE o.number = r.number)
            THEN nextval('messaging_chat_number') ELSE r.number END,
       r.kind, r.name, r.low_id, r.high_id, r.member_count, r.wide_from, r.created_at, r.created_at,
       r.frozen_at, coalesce(r.frozen_reason, '')
  FROM jsonb_to_recordset(%(rows)s::jsonb) AS r(
         id uuid, number bigint, kind text, name text, low_id uuid, high_id uuid, member_count int,
         wide_from bigint, created_at timestamptz, frozen_at timestamptz, frozen_reason text)
 WHERE NOT EXISTS (SELECT FROM messaging_chat o WHERE o.id = r.id)
ON CONFLICT (low_id, high_id) WHERE kind = 'private' DO NOTHING
RETURNING id;
