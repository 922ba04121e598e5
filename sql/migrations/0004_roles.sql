-- SPDX-License-Identifier: Apache-2.0
-- Rights for the group roles footfall_writer (aggregators) and footfall_reader (dashboard, BI tools). Roles belong to the
-- whole cluster, so the operator makes them (deploy/roles.sql); without them everything belongs to the owner alone.

REVOKE ALL ON SCHEMA footfall FROM PUBLIC;

-- Grants what footfall.rights says to those of the roles that exist. Called after every migration; may be called again at
-- any time, for instance when the roles were made later.
CREATE FUNCTION footfall.grant_rights() RETURNS void
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    allowed record;
BEGIN
    FOR allowed IN SELECT rolname FROM pg_roles WHERE rolname IN ('footfall_writer', 'footfall_reader') LOOP
        EXECUTE format('GRANT USAGE ON SCHEMA footfall TO %I', allowed.rolname);
    END LOOP;
    FOR allowed IN SELECT * FROM footfall.rights WHERE role IN (SELECT rolname FROM pg_roles) LOOP
        EXECUTE format('GRANT %s ON %s TO %I', allowed.privileges, allowed.relation::regclass, allowed.role);
    END LOOP;
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'footfall_writer') THEN
        GRANT EXECUTE ON FUNCTION footfall.make_day(date), footfall.make_day_ahead(date) TO footfall_writer;
    END IF;
END
$$;

REVOKE ALL ON FUNCTION footfall.grant_rights() FROM PUBLIC;

INSERT INTO footfall.migrations VALUES (4, '0004_roles');
