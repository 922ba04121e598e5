-- SPDX-License-Identifier: Apache-2.0
-- What ip2location.io said of addresses, and how often it was asked: shared by all aggregators.

-- One row an address that was asked of, until it expires. A row without a country: the service does not know it.
CREATE TABLE footfall.ip_locations (
    ip         varchar PRIMARY KEY,         -- of IPv6 the first address of the network (ip2location.ipv6_prefix)
    country    varchar(2),
    state      varchar,
    city       varchar,
    latitude   real,
    longitude  real,
    source     varchar NOT NULL,            -- ip2location
    version    integer NOT NULL,            -- of the way in which answers are read; other versions are not
    located_at timestamp(3) NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    expires_at timestamp(3) NOT NULL
);

CREATE INDEX ip_locations_expiry ON footfall.ip_locations (expires_at);

-- Calls that aggregators were allowed to make, by day (UTC); each leases a few at a time.
CREATE TABLE footfall.ip2location_calls (
    day   date PRIMARY KEY,
    calls bigint NOT NULL
);

-- Allows as many of the wanted calls as the day and the month have left, maybe none; says for which day, and for how long
-- it still lasts. The lock makes leases queue, so that each sees what was leased before it.
CREATE FUNCTION footfall.lease_calls(wanted bigint, daily bigint, monthly bigint,
                                     OUT leased bigint, OUT today date, OUT day_left_ms bigint)
    LANGUAGE plpgsql
    SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    at timestamp;
    of_day bigint;
    of_month bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(1181708148, 3);
    at := clock_timestamp() AT TIME ZONE 'UTC';
    today := at::date;
    day_left_ms := ceil(extract(epoch FROM (today + 1)::timestamp - at) * 1000);
    SELECT coalesce(sum(calls) FILTER (WHERE day = today), 0), coalesce(sum(calls), 0)
      INTO of_day, of_month
      FROM footfall.ip2location_calls
     WHERE day >= date_trunc('month', at)::date
       AND day < (date_trunc('month', at) + interval '1 month')::date;
    leased := greatest(0, least(wanted, daily - of_day, monthly - of_month));
    INSERT INTO footfall.ip2location_calls AS known (day, calls) VALUES (today, leased)
        ON CONFLICT (day) DO UPDATE SET calls = known.calls + excluded.calls;
END
$$;

INSERT INTO footfall.rights VALUES
    ('footfall.ip_locations',      'footfall_writer', 'SELECT, INSERT, UPDATE, DELETE'),
    ('footfall.ip2location_calls', 'footfall_writer', 'SELECT, INSERT, UPDATE'),
    ('footfall.ip_locations',      'footfall_reader', 'SELECT'),
    ('footfall.ip2location_calls', 'footfall_reader', 'SELECT');

INSERT INTO footfall.migrations VALUES (8, '0008_ip_locations');
