-- SPDX-License-Identifier: Apache-2.0
-- Old hits, sessions and rejects go (retention.days); rollups stay. The writer, who owns no table and may change no row, does it
-- through three functions. Each call is one small transaction; one caller at a time, the others get NULL.

-- Days whose hits were dropped, by the functions here: their rollups cannot be counted again.
CREATE TABLE footfall.dropped_days (
    day        date PRIMARY KEY,            -- UTC
    dropped_at timestamptz NOT NULL         -- the last time: a late hit makes the day again
);

-- The days of processed_events that are there, as footfall.make_day makes them; a partition of another name is somebody else's.
CREATE VIEW footfall.days AS
SELECT day, partition
  FROM (SELECT CASE WHEN relname ~ '^processed_events_[0-9]{8}$' THEN to_date(right(relname, 8), 'YYYYMMDD') END AS day,
               inhrelid::regclass AS partition
          FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
         WHERE inhparent = 'public.processed_events'::regclass) AS each
 WHERE day IS NOT NULL;

-- Where retention looks. Both tables are written in about the order of these times.
CREATE INDEX session_events_aggregated_ip_end ON public.session_events_aggregated_ip (end_session);
CREATE INDEX rejected_hits_age ON public.rejected_hits (rejected_at);

-- Drops one day; says '', or why it stays. DROP takes ACCESS EXCLUSIVE on the whole table, and while it waits for readers every
-- hit waits behind it: so it waits for 50 ms at most (twice: for the table, then for the day), and is to be tried again later.
-- DETACH … CONCURRENTLY would need less, but waits without limit for whoever has read any day, cannot run in a function, so not
-- by the writer, and when it is interrupted somebody must FINALIZE it. Files are removed after the locks are.
CREATE FUNCTION footfall.drop_day(old date) RETURNS varchar
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '50ms'
AS $$
DECLARE
    name regclass;
BEGIN
    IF NOT pg_try_advisory_xact_lock(1181708148, 6) THEN
        RETURN NULL;
    END IF;
    SELECT partition INTO name FROM footfall.days WHERE day = old; -- now that nobody else drops it
    IF name IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('DROP TABLE %s', name);
    INSERT INTO footfall.dropped_days VALUES (old, now()) ON CONFLICT (day) DO UPDATE SET dropped_at = excluded.dropped_at;
    RETURN '';
EXCEPTION
    WHEN OTHERS THEN -- a lock, or a view that somebody has made of this day: other days can go
        RETURN SQLERRM;
END
$$;

-- Deletes at most so many sessions that ended before `cutoff`, the oldest ones from `from_end` on; says how many, and the end of
-- the last one, where the next call begins: rows that are dead but still seen by a long reader are not walked over again. Rows
-- that an aggregator takes back at this moment are left out, so nobody waits in a circle.
CREATE FUNCTION footfall.drop_sessions(cutoff date, from_end timestamp, most bigint, OUT dropped bigint, OUT last_end timestamp)
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(1181708148, 6) THEN
        RETURN;
    END IF;
    WITH gone AS (
        DELETE FROM public.session_events_aggregated_ip
         WHERE ctid = ANY (ARRAY(SELECT ctid FROM public.session_events_aggregated_ip
                                  WHERE end_session >= from_end AND end_session < cutoff
                                  ORDER BY end_session LIMIT most FOR UPDATE SKIP LOCKED))
        RETURNING end_session)
    SELECT count(*), max(end_session) INTO dropped, last_end FROM gone;
END
$$;

-- The same with rejects of an age; they are few.
CREATE FUNCTION footfall.drop_rejects(cutoff date, most bigint) RETURNS bigint
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    dropped bigint;
BEGIN
    IF NOT pg_try_advisory_xact_lock(1181708148, 6) THEN
        RETURN NULL;
    END IF;
    DELETE FROM public.rejected_hits
     WHERE ctid = ANY (ARRAY(SELECT ctid FROM public.rejected_hits
                              WHERE rejected_at < cutoff ORDER BY rejected_at LIMIT most FOR UPDATE SKIP LOCKED));
    GET DIAGNOSTICS dropped = ROW_COUNT;
    RETURN dropped;
END
$$;

-- Makes the views of the days from one to before the other what counting processed_events gives: needed only when somebody
-- has put in or taken out rows by hand. Says how many sums were wrong. Aggregators may go on meanwhile: it appends what is
-- missing in one statement, so under one view of all tables. Days that retention has dropped are left as they are.
CREATE OR REPLACE FUNCTION footfall.recount_rollups(from_day date, before_day date) RETURNS bigint
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
         WHERE event_timestamp >= from_day AND event_timestamp < before_day
           AND event_timestamp::date NOT IN (SELECT day FROM footfall.dropped_days)),
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
          FROM public.traffic_by_hour
         WHERE hour >= from_day AND hour < before_day AND hour::date NOT IN (SELECT day FROM footfall.dropped_days)
        UNION ALL
        SELECT 'page', day, host, page, NULL, NULL, NULL, NULL, source, counted, -hits
          FROM public.pages_by_day
         WHERE day >= from_day AND day < before_day AND day NOT IN (SELECT day FROM footfall.dropped_days)
        UNION ALL
        SELECT 'referrer', day, host, referrer, NULL, NULL, NULL, NULL, source, counted, -hits
          FROM public.referrers_by_day
         WHERE day >= from_day AND day < before_day AND day NOT IN (SELECT day FROM footfall.dropped_days))
    SELECT kind, at, host, name, country, state, city, bot, source, counted, sum(hits)
      FROM differences
     GROUP BY kind, at, host, name, country, state, city, bot, source, counted
    HAVING sum(hits) <> 0;
    GET DIAGNOSTICS wrong = ROW_COUNT;
    RETURN wrong;
END
$$;

-- As in 0003_days, but in the order in which footfall.make_day takes the two locks: who came the other way round waited in a circle
-- with who made an old day.
CREATE OR REPLACE FUNCTION footfall.make_day_ahead(day date) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(1181708148, 2) THEN
        RETURN false;
    END IF;
    LOCK TABLE public.processed_events IN SHARE UPDATE EXCLUSIVE MODE NOWAIT;
    PERFORM footfall.make_day(day);
    RETURN true;
EXCEPTION
    WHEN lock_not_available THEN
        RETURN false;
END
$$;

-- Which functions the roles may call: a file that makes one adds its row here.
CREATE TABLE footfall.function_rights (
    function varchar NOT NULL,              -- with its schema and arguments
    role     varchar NOT NULL,
    PRIMARY KEY (function, role)
);

CREATE OR REPLACE FUNCTION footfall.grant_rights() RETURNS void
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
    FOR allowed IN SELECT * FROM footfall.function_rights WHERE role IN (SELECT rolname FROM pg_roles) LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO %I', allowed.function::regprocedure, allowed.role);
    END LOOP;
END
$$;

REVOKE ALL ON FUNCTION footfall.drop_day(date), footfall.drop_sessions(date, timestamp, bigint),
    footfall.drop_rejects(date, bigint) FROM PUBLIC;

INSERT INTO footfall.function_rights VALUES
    ('footfall.make_day(date)',                         'footfall_writer'),
    ('footfall.make_day_ahead(date)',                   'footfall_writer'),
    ('footfall.drop_day(date)',                         'footfall_writer'),
    ('footfall.drop_sessions(date, timestamp, bigint)', 'footfall_writer'),
    ('footfall.drop_rejects(date, bigint)',             'footfall_writer');

INSERT INTO footfall.rights VALUES
    ('footfall.dropped_days',    'footfall_writer', 'SELECT'),
    ('footfall.days',            'footfall_writer', 'SELECT'),
    ('footfall.function_rights', 'footfall_writer', 'SELECT'),
    ('footfall.dropped_days',    'footfall_reader', 'SELECT'),
    ('footfall.days',            'footfall_reader', 'SELECT'),
    ('footfall.function_rights', 'footfall_reader', 'SELECT');

INSERT INTO footfall.migrations VALUES (11, '0011_retention');
