-- Takes away what chain.sql made, for who goes back before the audit log.
DROP TRIGGER audit_entry_not_emptied ON audit_entry;
DROP TRIGGER audit_entry_stays ON audit_entry;
DROP TRIGGER audit_entry_chain ON audit_entry;
DROP FUNCTION audit_entry_stays();
DROP FUNCTION audit_entry_chain();
DROP FUNCTION audit_entry_fields(audit_entry);
