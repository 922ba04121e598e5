-- SPDX-License-Identifier: Apache-2.0
-- Stored sessions are found by their end only by who lets old ones go, and the index costs each of them a quarter more to store: it
-- is made when the first old ones are asked for.

DROP INDEX public.session_events_aggregated_ip_end;

-- As in 0011_retention. The index is made here while that takes a second or two, for which batches wait; in a larger table by the
-- owner, while batches go on.
CREATE OR REPLACE FUNCTION footfall.drop_sessions(cutoff date, from_end timestamp, most bigint, OUT dropped bigint,
                                                  OUT last_end timestamp)
    LANGUAGE plpgsql
    SECURITY DEFINER
    SET search_path = pg_catalog, pg_temp
    SET lock_timeout = '50ms'
AS $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(1181708148, 6) THEN
        RETURN;
    END IF;
    IF to_regclass('public.session_events_aggregated_ip_end') IS NULL THEN
        IF (SELECT reltuples > 3000000 FROM pg_class WHERE oid = 'public.session_events_aggregated_ip'::regclass) THEN
            RAISE EXCEPTION 'too many stored sessions to go through: as the owner, CREATE INDEX CONCURRENTLY '
                            'session_events_aggregated_ip_end ON session_events_aggregated_ip (end_session)'
                USING ERRCODE = 'object_not_in_prerequisite_state';
        END IF;
        CREATE INDEX session_events_aggregated_ip_end ON public.session_events_aggregated_ip (end_session);
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

INSERT INTO footfall.migrations VALUES (15, '0015_session_ends');
