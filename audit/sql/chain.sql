-- The chain of the audit log.
--
-- audit_entry_fields: what of an entry is under its hash, as an unambiguous text: each field as
-- "length in bytes:text", or "-" where there is none, joined by commas. `audit/chain.py` puts the
-- same together in Python, so that the check does not rely on the functions it checks.
CREATE FUNCTION audit_entry_fields(e audit_entry) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT string_agg(coalesce(octet_length(field) || ':' || field, '-'), ',' ORDER BY place)
    FROM unnest(ARRAY[
           encode(e.previous, 'hex'), e.id::text,
           ((extract(epoch FROM e.at) * 1000000)::bigint)::text,
           e.actor_kind, e.actor_id::text, e.actor_name, e.address, e.action, e.target_kind,
           e.target_id, e.target_name, e.reason, e.before::text, e.after::text, e.session,
           e.request_id
         ]::text[]) WITH ORDINALITY AS f (field, place)
$$;

-- audit_entry_chain: gives each entry the next number, a time that never goes backwards, the hash
-- of the entry before it and its own.
-- Guarantees: numbers have no gaps, in the order of the commits, and no two entries follow the
-- same one. The lock is held until the transaction ends, so a writer takes it last; nothing but
-- the audit log waits for it.
CREATE FUNCTION audit_entry_chain() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  latest record;
BEGIN
  PERFORM pg_advisory_xact_lock(hashtext('audit_entry'));
  -- A new statement, hence a fresh snapshot: what was committed while this waited is seen.
  SELECT e.id, e.at, e.hash INTO latest FROM audit_entry e ORDER BY e.id DESC LIMIT 1;
  NEW.id := coalesce(latest.id, 0) + 1;
  NEW.at := greatest(latest.at, clock_timestamp());
  NEW.previous := coalesce(latest.hash, decode(repeat('00', 32), 'hex'));
  NEW.hash := sha256(convert_to(audit_entry_fields(NEW), 'UTF8'));
  RETURN NEW;
END $$;

CREATE TRIGGER audit_entry_chain BEFORE INSERT ON audit_entry
  FOR EACH ROW EXECUTE FUNCTION audit_entry_chain();

-- audit_entry_stays: refuses every change of what was written, to whoever is connected.
CREATE FUNCTION audit_entry_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log only grows: % is refused', TG_OP
    USING ERRCODE = 'insufficient_privilege';
END $$;

CREATE TRIGGER audit_entry_stays BEFORE UPDATE OR DELETE ON audit_entry
  FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_stays();
CREATE TRIGGER audit_entry_not_emptied BEFORE TRUNCATE ON audit_entry
  FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_stays();
-- Also where triggers are switched off for a session, as a replica's are.
ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER audit_entry_stays;
ALTER TABLE audit_entry ENABLE ALWAYS TRIGGER audit_entry_not_emptied;
