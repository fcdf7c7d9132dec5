"""Every organisation has its ingest policy: the database holds it, so that nobody has to know what is usual.

Both checks wait for the end of the transaction, in which an organisation and its policy come and go together.
"""

from django.db import migrations

GUARD = """
    CREATE FUNCTION sensors_require_policy() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
        organization bigint := (CASE TG_OP WHEN 'INSERT' THEN to_jsonb(NEW)->>'id'
                                          ELSE to_jsonb(OLD)->>'organization_id' END)::bigint;
    BEGIN
        IF EXISTS (SELECT FROM accounts_organization WHERE id = organization)
           AND NOT EXISTS (SELECT FROM sensors_ingestpolicy WHERE organization_id = organization) THEN
            RAISE integrity_constraint_violation
                USING MESSAGE = format('organisation %s has no ingest policy', organization),
                      CONSTRAINT = 'ingestpolicy_always';
        END IF;
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER ingestpolicy_always AFTER INSERT ON accounts_organization
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sensors_require_policy();
    CREATE CONSTRAINT TRIGGER ingestpolicy_always AFTER DELETE ON sensors_ingestpolicy
        DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION sensors_require_policy();
"""
UNGUARD = """
    DROP TRIGGER ingestpolicy_always ON sensors_ingestpolicy;
    DROP TRIGGER ingestpolicy_always ON accounts_organization;
    DROP FUNCTION sensors_require_policy();
"""


class Migration(migrations.Migration):
    dependencies = [("sensors", "0006_absences_are_nobodys_silence")]

    operations = [migrations.RunSQL(GUARD, UNGUARD)]
