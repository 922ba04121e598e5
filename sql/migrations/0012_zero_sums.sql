-- SPDX-License-Identifier: Apache-2.0
-- A sum that has become zero leaves the tables of the rollups when it is folded: `footfall-aggregator erase` takes hits back,
-- and then the name of a page that they alone had must not stay behind.

CREATE OR REPLACE FUNCTION footfall.fold_rollups(most bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    folded bigint;
    no_traffic tid[];
    no_pages tid[];
    no_referrers tid[];
BEGIN
    IF NOT pg_try_advisory_xact_lock(1181708148, 4) THEN
        RETURN NULL;
    END IF;
    WITH taken AS (
        DELETE FROM footfall.rollup_sums
         WHERE ctid = ANY (ARRAY(SELECT ctid FROM footfall.rollup_sums LIMIT most))
        RETURNING *),
    traffic AS (
        INSERT INTO footfall.folded_traffic AS known
        SELECT at, host, country, state, city, source, bot, counted, sum(hits)
          FROM taken WHERE kind = 'traffic' GROUP BY at, host, country, state, city, source, bot, counted
        ON CONFLICT (hour, host, country, state, city, source, bot, counted) DO UPDATE SET hits = known.hits + excluded.hits
        RETURNING ctid AS place, hits),
    pages AS (
        INSERT INTO footfall.folded_pages AS known
        SELECT at::date, host, name, source, counted, sum(hits)
          FROM taken WHERE kind = 'page' GROUP BY at::date, host, name, source, counted
        ON CONFLICT (day, host, page, source, counted) DO UPDATE SET hits = known.hits + excluded.hits
        RETURNING ctid AS place, hits),
    referrers AS (
        INSERT INTO footfall.folded_referrers AS known
        SELECT at::date, host, name, source, counted, sum(hits)
          FROM taken WHERE kind = 'referrer' GROUP BY at::date, host, name, source, counted
        ON CONFLICT (day, host, referrer, source, counted) DO UPDATE SET hits = known.hits + excluded.hits
        RETURNING ctid AS place, hits)
    SELECT (SELECT count(*) FROM taken),
           ARRAY(SELECT place FROM traffic WHERE hits = 0),
           ARRAY(SELECT place FROM pages WHERE hits = 0),
           ARRAY(SELECT place FROM referrers WHERE hits = 0)
      INTO folded, no_traffic, no_pages, no_referrers;
    -- Only a fold changes these tables, and this one has the lock: the places hold. A statement of its own, since the one above
    -- does not see what it has written.
    DELETE FROM footfall.folded_traffic WHERE ctid = ANY (no_traffic);
    DELETE FROM footfall.folded_pages WHERE ctid = ANY (no_pages);
    DELETE FROM footfall.folded_referrers WHERE ctid = ANY (no_referrers);
    RETURN folded;
END
$$;

UPDATE footfall.rights SET privileges = privileges || ', DELETE'
 WHERE role = 'footfall_writer' AND relation IN ('footfall.folded_traffic', 'footfall.folded_pages', 'footfall.folded_referrers');

INSERT INTO footfall.migrations VALUES (12, '0012_zero_sums');
