-- SPDX-License-Identifier: Apache-2.0
-- Hits added up: by hour and place, pages by day, referrers by day. Each batch appends its own sums in its transaction, and
-- what adds or takes hits by hand does the same (a sum may be negative); a fold moves them into the three tables from time to
-- time; the public views add both up. So the views are at any moment what counting processed_events would give.

SET LOCAL search_path = public;

-- What is counted as what. The aggregator says the same in C (aggregator/paths.h, aggregator/rollups.h); a test compares the two.

-- The path of a URL, without its query; at most 256 characters of it.
CREATE FUNCTION footfall.page_of(url varchar) RETURNS varchar
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT coalesce(nullif(left(substring(url FROM '^(?:[^:/?#]+:)?(?://[^/?#]*)?([^?#]*)'), 256), ''), '/')
$$;

-- The host that a referrer names, in lower case, without its port; NULL when it names none.
CREATE FUNCTION footfall.host_of(referrer varchar) RETURNS varchar
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT nullif(left(lower(regexp_replace(regexp_replace(
               substring(referrer FROM '^(?:[^:/?#]+://)?([^/?#]*)'), '^.*@', ''), ':[0-9]*$', '') COLLATE "C"), 256), '')
$$;

-- A robot by its user agent, or by having none.
CREATE FUNCTION footfall.is_bot(flags integer) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT coalesce(flags, 0) & 5 <> 0
$$;

-- Most likely a page that a person saw: neither of a robot nor fetched in advance.
CREATE FUNCTION footfall.is_counted(flags integer) RETURNS boolean
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT coalesce(flags, 0) & 7 = 0
$$;

-- Sums of batches, until they are folded. No index: an append is all that a batch pays. What a fold leaves behind is used
-- again soon; giving the table's end back to the system would make batches wait.
CREATE TABLE footfall.rollup_sums (
    kind    varchar NOT NULL,               -- traffic, page, referrer
    at      timestamp(3) NOT NULL,          -- the hour; of the other kinds the day
    host    varchar,
    name    varchar,                        -- the page, the referrer
    country varchar(2),                     -- of traffic, like the next three
    state   varchar,
    city    varchar,
    bot     boolean,
    source  varchar,
    counted boolean NOT NULL,
    hits    bigint NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000, vacuum_truncate = false);

-- What is folded. Names of their own: a role named footfall would find these in place of the views.

CREATE TABLE footfall.folded_traffic (
    hour    timestamp(3) NOT NULL,          -- UTC
    host    varchar,
    country varchar(2),
    state   varchar,
    city    varchar,
    source  varchar,
    bot     boolean NOT NULL,
    counted boolean NOT NULL,
    hits    bigint NOT NULL
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX folded_traffic_key ON footfall.folded_traffic
    (hour, host COLLATE "C", country COLLATE "C", state COLLATE "C", city COLLATE "C", source COLLATE "C", bot, counted)
    NULLS NOT DISTINCT;

CREATE TABLE footfall.folded_pages (
    day     date NOT NULL,                  -- UTC
    host    varchar,
    page    varchar NOT NULL,
    source  varchar,
    counted boolean NOT NULL,
    hits    bigint NOT NULL
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX folded_pages_key ON footfall.folded_pages
    (day, host COLLATE "C", page COLLATE "C", source COLLATE "C", counted) NULLS NOT DISTINCT;

CREATE TABLE footfall.folded_referrers (
    day      date NOT NULL,                 -- UTC
    host     varchar,
    referrer varchar,                       -- NULL: none was sent
    source   varchar,
    counted  boolean NOT NULL,
    hits     bigint NOT NULL
) WITH (fillfactor = 80);
CREATE UNIQUE INDEX folded_referrers_key ON footfall.folded_referrers
    (day, host COLLATE "C", referrer COLLATE "C", source COLLATE "C", counted) NULLS NOT DISTINCT;

-- For people.
CREATE VIEW traffic_by_hour AS
SELECT hour, host, country, state, city, source, bot, counted, sum(hits)::bigint AS hits
  FROM (SELECT hour, host, country, state, city, source, bot, counted, hits FROM footfall.folded_traffic
        UNION ALL
        SELECT at, host, country, state, city, source, bot, counted, hits FROM footfall.rollup_sums WHERE kind = 'traffic') AS each
 GROUP BY hour, host, country, state, city, source, bot, counted
HAVING sum(hits) <> 0;

CREATE VIEW pages_by_day AS
SELECT day, host, page, source, counted, sum(hits)::bigint AS hits
  FROM (SELECT day, host, page, source, counted, hits FROM footfall.folded_pages
        UNION ALL
        SELECT at::date, host, name, source, counted, hits FROM footfall.rollup_sums WHERE kind = 'page') AS each
 GROUP BY day, host, page, source, counted
HAVING sum(hits) <> 0;

CREATE VIEW referrers_by_day AS
SELECT day, host, referrer, source, counted, sum(hits)::bigint AS hits
  FROM (SELECT day, host, referrer, source, counted, hits FROM footfall.folded_referrers
        UNION ALL
        SELECT at::date, host, name, source, counted, hits FROM footfall.rollup_sums WHERE kind = 'referrer') AS each
 GROUP BY day, host, referrer, source, counted
HAVING sum(hits) <> 0;

-- Moves at most so many sums into the tables; says how many, NULL when somebody else is at it. The lock leaves the tables to
-- one folder at a time, and batches only append: nobody waits for anybody.
CREATE FUNCTION footfall.fold_rollups(most bigint) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    folded bigint;
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
        ON CONFLICT (hour, host, country, state, city, source, bot, counted) DO UPDATE SET hits = known.hits + excluded.hits),
    pages AS (
        INSERT INTO footfall.folded_pages AS known
        SELECT at::date, host, name, source, counted, sum(hits)
          FROM taken WHERE kind = 'page' GROUP BY at::date, host, name, source, counted
        ON CONFLICT (day, host, page, source, counted) DO UPDATE SET hits = known.hits + excluded.hits),
    referrers AS (
        INSERT INTO footfall.folded_referrers AS known
        SELECT at::date, host, name, source, counted, sum(hits)
          FROM taken WHERE kind = 'referrer' GROUP BY at::date, host, name, source, counted
        ON CONFLICT (day, host, referrer, source, counted) DO UPDATE SET hits = known.hits + excluded.hits)
    SELECT count(*) INTO folded FROM taken;
    RETURN folded;
END
$$;

-- Makes the views of the days from one to before the other what counting processed_events gives: needed only when somebody
-- has put in or taken out rows by hand. Says how many sums were wrong. Aggregators may go on meanwhile: it appends what is
-- missing in one statement, so under one view of all tables.
CREATE FUNCTION footfall.recount_rollups(from_day date, before_day date) RETURNS bigint
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    wrong bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1181708148, 5);
    INSERT INTO footfall.rollup_sums (kind, at, host, name, country, state, city, bot, source, counted, hits)
    WITH days AS (
        SELECT *, footfall.is_bot(flags) AS bot, footfall.is_counted(flags) AS counted
          FROM public.processed_events
         WHERE event_timestamp >= from_day AND event_timestamp < before_day),
    differences AS (
        SELECT 'traffic' AS kind, date_trunc('hour', event_timestamp) AS at, host, NULL AS name, country, state, city, bot,
               source, counted, count(*) AS hits
          FROM days GROUP BY 2, host, country, state, city, bot, source, counted
        UNION ALL
        SELECT 'page', date_trunc('day', event_timestamp), host, footfall.page_of(url), NULL, NULL, NULL, NULL,
               source, counted, count(*)
          FROM days GROUP BY 2, host, 4, source, counted
        UNION ALL
        SELECT 'referrer', date_trunc('day', event_timestamp), host, footfall.host_of(referrer), NULL, NULL, NULL, NULL,
               source, counted, count(*)
          FROM days GROUP BY 2, host, 4, source, counted
        UNION ALL
        SELECT 'traffic', hour, host, NULL, country, state, city, bot, source, counted, -hits
          FROM public.traffic_by_hour WHERE hour >= from_day AND hour < before_day
        UNION ALL
        SELECT 'page', day, host, page, NULL, NULL, NULL, NULL, source, counted, -hits
          FROM public.pages_by_day WHERE day >= from_day AND day < before_day
        UNION ALL
        SELECT 'referrer', day, host, referrer, NULL, NULL, NULL, NULL, source, counted, -hits
          FROM public.referrers_by_day WHERE day >= from_day AND day < before_day)
    SELECT kind, at, host, name, country, state, city, bot, source, counted, sum(hits)
      FROM differences
     GROUP BY kind, at, host, name, country, state, city, bot, source, counted
    HAVING sum(hits) <> 0;
    GET DIAGNOSTICS wrong = ROW_COUNT;
    RETURN wrong;
END
$$;

-- What was stored before there were rollups.
SELECT footfall.recount_rollups('-infinity', 'infinity');

INSERT INTO footfall.rights VALUES
    ('footfall.rollup_sums',       'footfall_writer', 'SELECT, INSERT, DELETE'),
    ('footfall.folded_traffic',   'footfall_writer', 'SELECT, INSERT, UPDATE'),
    ('footfall.folded_pages',      'footfall_writer', 'SELECT, INSERT, UPDATE'),
    ('footfall.folded_referrers',  'footfall_writer', 'SELECT, INSERT, UPDATE'),
    ('public.traffic_by_hour',     'footfall_writer', 'SELECT'),
    ('public.pages_by_day',        'footfall_writer', 'SELECT'),
    ('public.referrers_by_day',    'footfall_writer', 'SELECT'),
    ('footfall.rollup_sums',       'footfall_reader', 'SELECT'),
    ('footfall.folded_traffic',   'footfall_reader', 'SELECT'),
    ('footfall.folded_pages',      'footfall_reader', 'SELECT'),
    ('footfall.folded_referrers',  'footfall_reader', 'SELECT'),
    ('public.traffic_by_hour',     'footfall_reader', 'SELECT'),
    ('public.pages_by_day',        'footfall_reader', 'SELECT'),
    ('public.referrers_by_day',    'footfall_reader', 'SELECT');

INSERT INTO footfall.migrations VALUES (10, '0010_rollups');
