-- SPDX-License-Identifier: Apache-2.0
-- The day partitions of processed_events, made by the writer, who may not make tables himself.

-- Makes the partition of one day (UTC); false when it is there. CREATE, then ATTACH: that takes no lock that readers or
-- writers of the other days wait for. The advisory lock lets one maker at a time in, the others find the day made.
CREATE FUNCTION footfall.make_day(day date) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '2s'
AS $$
DECLARE
    name text := 'processed_events_' || to_char(day, 'YYYYMMDD');
BEGIN
    PERFORM pg_advisory_xact_lock(1181708148, 2);
    IF EXISTS (SELECT FROM pg_class
                WHERE relname = name AND relnamespace = 'public'::regnamespace AND relispartition) THEN
        RETURN false;
    END IF;
    EXECUTE format('CREATE TABLE public.%I (LIKE public.processed_events INCLUDING ALL EXCLUDING INDEXES)', name);
    EXECUTE format('ALTER TABLE public.processed_events ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                   name, day, day + 1);
    RETURN true;
END
$$;

-- The same for a day that nobody needs yet; false when it cannot be made at once, as while ANALYZE runs.
CREATE FUNCTION footfall.make_day_ahead(day date) RETURNS boolean
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    LOCK TABLE public.processed_events IN SHARE UPDATE EXCLUSIVE MODE NOWAIT;
    PERFORM footfall.make_day(day);
    RETURN true;
EXCEPTION
    WHEN lock_not_available THEN
        RETURN false;
END
$$;

REVOKE ALL ON FUNCTION footfall.make_day(date), footfall.make_day_ahead(date) FROM PUBLIC;

INSERT INTO footfall.migrations VALUES (3, '0003_days');
