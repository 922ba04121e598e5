-- SPDX-License-Identifier: Apache-2.0
-- The tables of Footfall. Schema public holds what people query; schema footfall is the aggregator's own book-keeping.
-- Forward only; each file is applied in a transaction of its own, under an advisory lock, by `footfall-aggregator migrate` or at
-- start. By hand: `psql --single-transaction -f` with each file in order; each records itself in footfall.migrations.

-- A role named footfall would make the tables of public in the schema of its own name.
SET LOCAL search_path = public;

CREATE SCHEMA IF NOT EXISTS footfall;

-- Which of these files were applied.
CREATE TABLE footfall.migrations (
    version    integer PRIMARY KEY,
    name       varchar NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);

-- Who may do what: 0004_roles grants it. A file that makes a relation adds its rows here.
CREATE TABLE footfall.rights (
    relation   varchar NOT NULL,            -- with its schema
    role       varchar NOT NULL,            -- footfall_writer, footfall_reader
    privileges varchar NOT NULL,            -- SELECT, INSERT …
    PRIMARY KEY (relation, role)
);

-- One row a hit. The first six columns are those of the table it replaces: same names, order and types. No unique index:
-- the offsets in footfall.partitions move in the transaction that stores the rows. Partitioned by day (footfall.make_day).
CREATE TABLE processed_events (
    ip              varchar,
    event_timestamp timestamp(3) NOT NULL,  -- UTC
    referrer        varchar,
    host            varchar,
    url             varchar,
    geodata         varchar,                -- JSON text: country, state, city
    hit_id          uuid,
    user_agent_id   bigint,                 -- user_agents.id; NULL: none was sent
    source          varchar,                -- beacon, pixel, mirror, log, api, other
    country         varchar(2),
    state           varchar,
    city            varchar,
    latitude        real,
    longitude       real,
    geo_source      varchar,                -- api, mmdb, private, none
    flags           integer,                -- bot signals and remarks
    received_at     timestamp(3),           -- when the collector took it, UTC
    kafka_partition integer,
    kafka_offset    bigint
) PARTITION BY RANGE (event_timestamp);

CREATE INDEX processed_events_time ON processed_events USING brin (event_timestamp);

-- Each user agent text once; id is a 64-bit hash of the text, so writers need not ask for it.
CREATE TABLE user_agents (
    id         bigint PRIMARY KEY,
    user_agent varchar NOT NULL
);

-- One row a closed session. A late hit takes a row back, merges and stores it again.
CREATE TABLE session_events_aggregated_ip (
    start_session timestamp(3) NOT NULL,
    end_session   timestamp(3) NOT NULL,    -- last hit + gap
    ip            varchar NOT NULL,
    host          varchar NOT NULL,
    web_events    bigint NOT NULL,
    last_hit      timestamp(3) NOT NULL,
    bot_events    bigint NOT NULL,
    entry_url     varchar,
    referrer      varchar,                  -- of the first hit
    exit_url      varchar,
    country       varchar(2),
    state         varchar,
    city          varchar
);

-- The address first: it tells most rows apart by one comparison.
CREATE UNIQUE INDEX session_events_aggregated_ip_key ON session_events_aggregated_ip (ip, host, start_session);

-- What could not be a hit, as it stood, with the reason.
CREATE TABLE rejected_hits (
    topic           varchar NOT NULL,
    kafka_partition integer NOT NULL,
    kafka_offset    bigint NOT NULL,
    written_at      timestamp(3),           -- the record's Kafka timestamp
    rejected_at     timestamp(3) NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    reason          varchar NOT NULL,
    raw             bytea
);

-- The fence: one row a partition. Whoever's random owner stands here may move it.
CREATE TABLE footfall.partitions (
    topic           varchar NOT NULL,
    partition       integer NOT NULL,
    next_offset     bigint  NOT NULL,       -- -2: the beginning of the log
    version         bigint  NOT NULL DEFAULT 0,
    owner           uuid,
    owner_pid       integer,
    owner_started   timestamptz,
    stored_until    timestamp(3),           -- latest hit in any session this partition has stored
    cluster_id      varchar,
    partition_count integer,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);

-- Received numbers of each stream (one process start of a collector and one partition).
CREATE TABLE footfall.received (
    topic     varchar NOT NULL,
    partition integer NOT NULL,
    stream    varchar NOT NULL,
    ranges    int8multirange NOT NULL,
    PRIMARY KEY (topic, partition, stream)
) WITH (fillfactor = 50);

-- Open sessions as changes, many in a row: a JSON array of arrays, described where it is written (aggregator/pages.h) and
-- taken apart by the view footfall.open_session_changes.
CREATE TABLE footfall.open_session_pages (
    topic     varchar NOT NULL,
    partition integer NOT NULL,
    version   bigint  NOT NULL,
    ordinal   integer NOT NULL,             -- of the first change within the version
    changes   text    NOT NULL
);
ALTER TABLE footfall.open_session_pages ALTER changes SET STORAGE EXTERNAL; -- it lives for minutes: not worth compressing

CREATE INDEX open_session_pages_partition ON footfall.open_session_pages (topic, partition, version);

-- Exact for all times that a session can have, which division by 1000.0 is not.
CREATE FUNCTION footfall.time_of_ms(ms bigint) RETURNS timestamp(3)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
AS $$
    SELECT timestamp 'epoch' + (ms / 86400000) * interval '1 day' + (ms % 86400000) * interval '1 ms'
$$;

-- A change replaces every earlier interval of its key that it overlaps; events = 0 closes.
CREATE VIEW footfall.open_session_changes AS
SELECT topic, partition, version, (ordinal + place - 1)::integer AS ordinal,
       (change ->> 0)::varchar AS ip,
       (change ->> 1)::varchar AS host,
       footfall.time_of_ms((change ->> 2)::bigint)::timestamp(3) AS start_hit,
       footfall.time_of_ms((change ->> 3)::bigint)::timestamp(3) AS last_hit,
       (change ->> 4)::bigint AS events,
       (change ->> 5)::bigint AS bot_events,
       (change ->> 6)::varchar AS entry_url,
       (change ->> 7)::varchar AS referrer,
       (change ->> 8)::varchar(2) AS country,
       (change ->> 9)::varchar AS state,
       (change ->> 10)::varchar AS city,
       (change ->> 11)::varchar AS exit_url
  FROM footfall.open_session_pages
 CROSS JOIN LATERAL jsonb_array_elements(changes::jsonb) WITH ORDINALITY AS each (change, place);

-- Parts of sessions that were read outside their key's home partition; the home's owner takes them.
CREATE TABLE footfall.strays (
    topic      varchar NOT NULL,
    home       integer NOT NULL,
    ip         varchar NOT NULL,
    host       varchar NOT NULL,
    start_hit  timestamp(3) NOT NULL,
    last_hit   timestamp(3) NOT NULL,
    events     bigint NOT NULL,
    bot_events bigint NOT NULL,
    entry_url  varchar,
    referrer   varchar,
    country    varchar(2),
    state      varchar,
    city       varchar,
    exit_url   varchar
);

CREATE INDEX strays_home ON footfall.strays (topic, home);

-- What is open now: the changes that no later change of their key replaces. The pages are taken apart once.
CREATE VIEW footfall.open_sessions AS
WITH changes AS MATERIALIZED (SELECT * FROM footfall.open_session_changes)
SELECT topic, partition, ip, host, start_hit, last_hit, events, bot_events, entry_url, referrer, country, state, city, exit_url
  FROM changes c
 WHERE events > 0
   AND NOT EXISTS (SELECT FROM changes later
                    WHERE later.topic = c.topic AND later.partition = c.partition
                      AND later.ip = c.ip AND later.host = c.host
                      AND later.start_hit <= c.last_hit AND later.last_hit >= c.start_hit
                      AND (later.version, later.ordinal) > (c.version, c.ordinal));

-- This deployment's name; the consumer group is called after it.
CREATE TABLE footfall.deployment (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    id  uuid NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO footfall.deployment DEFAULT VALUES;

INSERT INTO footfall.rights VALUES
    ('public.processed_events',             'footfall_writer', 'SELECT, INSERT'),
    ('public.user_agents',                  'footfall_writer', 'SELECT, INSERT'),
    ('public.session_events_aggregated_ip', 'footfall_writer', 'SELECT, INSERT, DELETE'),
    ('public.rejected_hits',                'footfall_writer', 'SELECT, INSERT'),
    ('footfall.migrations',                 'footfall_writer', 'SELECT'),
    ('footfall.rights',                     'footfall_writer', 'SELECT'),
    ('footfall.partitions',                 'footfall_writer', 'SELECT, INSERT, UPDATE'),
    ('footfall.received',                   'footfall_writer', 'SELECT, INSERT, UPDATE'),
    ('footfall.open_session_pages',         'footfall_writer', 'SELECT, INSERT, DELETE'),
    ('footfall.open_session_changes',       'footfall_writer', 'SELECT'),
    ('footfall.strays',                     'footfall_writer', 'SELECT, INSERT, DELETE'),
    ('footfall.open_sessions',              'footfall_writer', 'SELECT'),
    ('footfall.deployment',                 'footfall_writer', 'SELECT'),
    ('public.processed_events',             'footfall_reader', 'SELECT'),
    ('public.user_agents',                  'footfall_reader', 'SELECT'),
    ('public.session_events_aggregated_ip', 'footfall_reader', 'SELECT'),
    ('public.rejected_hits',                'footfall_reader', 'SELECT'),
    ('footfall.migrations',                 'footfall_reader', 'SELECT'),
    ('footfall.rights',                     'footfall_reader', 'SELECT'),
    ('footfall.partitions',                 'footfall_reader', 'SELECT'),
    ('footfall.received',                   'footfall_reader', 'SELECT'),
    ('footfall.open_session_pages',         'footfall_reader', 'SELECT'),
    ('footfall.open_session_changes',       'footfall_reader', 'SELECT'),
    ('footfall.strays',                     'footfall_reader', 'SELECT'),
    ('footfall.open_sessions',              'footfall_reader', 'SELECT'),
    ('footfall.deployment',                 'footfall_reader', 'SELECT');

INSERT INTO footfall.migrations VALUES (1, '0001_tables');
