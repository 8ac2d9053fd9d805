-- One entry. Its number, time and hashes are what the trigger makes of them (chain.sql).
INSERT INTO audit_entry (actor_kind, actor_id, actor_name, address, action, target_kind, target_id,
                         target_name, reason, before, after, session, request_id, previous, hash)
VALUES (%(actor_kind)s, %(actor_id)s, %(actor_name)s, %(address)s, %(action)s, %(target_kind)s,
        %(target_id)s, %(target_name)s, %(reason)s, %(before)s::jsonb, %(after)s::jsonb,
        %(session)s, %(request_id)s, '', '')
RETURNING id, at, previous, hash
