-- Entries after a number, with their fields as texts in the order in which they are hashed.
SELECT e.id, e.previous, e.hash, ARRAY[
         encode(e.previous, 'hex'), e.id::text,
         ((extract(epoch FROM e.at) * 1000000)::bigint)::text,
         e.actor_kind, e.actor_id::text, e.actor_name, e.address, e.action, e.target_kind,
         e.target_id, e.target_name, e.reason, e.before::text, e.after::text, e.session,
         e.request_id
       ]::text[]
  FROM audit_entry e
 WHERE e.id > %(after)s
 ORDER BY e.id
 LIMIT %(most)s
