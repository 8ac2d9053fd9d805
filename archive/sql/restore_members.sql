-- Counts a chat's members anew.
UPDATE messaging_chat c
   SET member_count = (SELECT count(*) FROM messaging_membership m
                        WHERE m.chat_id = c.id AND m.last_seq IS NULL)
 WHERE c.id = %(chat)s
RETURNING c.member_count;
