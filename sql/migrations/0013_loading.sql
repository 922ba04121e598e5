-- SPDX-License-Identifier: Apache-2.0
-- A claim loads the open sessions of a partition some pages at a time, so that no statement grows with their number.

-- One page taken apart; place counts from 1. The view shows all pages.
CREATE FUNCTION footfall.changes_of_page(changes text)
RETURNS TABLE (place bigint, ip varchar, host varchar, start_hit timestamp, last_hit timestamp, events bigint, bot_events bigint,
               entry_url varchar, referrer varchar, country varchar, state varchar, city varchar, exit_url varchar)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT place,
           (change ->> 0)::varchar,
           (change ->> 1)::varchar,
           footfall.time_of_ms((change ->> 2)::bigint),
           footfall.time_of_ms((change ->> 3)::bigint),
           (change ->> 4)::bigint,
           (change ->> 5)::bigint,
           (change ->> 6)::varchar,
           (change ->> 7)::varchar,
           (change ->> 8)::varchar,
           (change ->> 9)::varchar,
           (change ->> 10)::varchar,
           (change ->> 11)::varchar
      FROM jsonb_array_elements(changes::jsonb) WITH ORDINALITY AS each (change, place)
$$;

CREATE OR REPLACE VIEW footfall.open_session_changes AS
SELECT topic, partition, version, (ordinal + place - 1)::integer AS ordinal, ip, host, start_hit::timestamp(3) AS start_hit,
       last_hit::timestamp(3) AS last_hit, events, bot_events, entry_url, referrer, country::varchar(2) AS country, state, city,
       exit_url
  FROM footfall.open_session_pages
 CROSS JOIN LATERAL footfall.changes_of_page(changes);

INSERT INTO footfall.migrations VALUES (13, '0013_loading');
