-- SPDX-License-Identifier: Apache-2.0
-- The queries of sql/reports as views, for tools that pick relations from a list. They stand here again, since a file that
-- was applied somewhere never changes; a test compares the two.

SET LOCAL search_path = public;

CREATE VIEW report_hits_by_host_and_date AS
SELECT host,
       event_timestamp::date AS date,
       count(*) AS hits
  FROM processed_events
 GROUP BY host, date
 ORDER BY host, date;

CREATE VIEW report_hits_by_country AS
SELECT coalesce(nullif(nullif(geodata, '')::json ->> 'country', ''), '-') AS country,
       count(*) AS hits,
       round(100 * count(*) / sum(count(*)) OVER (), 2) AS share
  FROM processed_events
 GROUP BY 1
 ORDER BY hits DESC, country;

CREATE VIEW report_hits_by_country_and_state AS
SELECT coalesce(nullif(nullif(geodata, '')::json ->> 'country', ''), '-') AS country,
       coalesce(nullif(nullif(geodata, '')::json ->> 'state', ''), '-') AS state,
       count(*) AS hits
  FROM processed_events
 GROUP BY 1, 2
 ORDER BY hits DESC, country, state;

CREATE VIEW report_hits_by_hour AS
SELECT extract(hour FROM event_timestamp)::integer AS hour,
       count(*) AS hits,
       round(100 * count(*) / sum(count(*)) OVER (), 2) AS share
  FROM processed_events
 GROUP BY hour
 ORDER BY hour;

CREATE VIEW report_sessions_by_minute_and_host AS
SELECT date_trunc('minute', start_session) AS minute,
       host,
       count(*) AS sessions
  FROM session_events_aggregated_ip
 GROUP BY minute, host
 ORDER BY minute, host;

CREATE VIEW report_average_events_by_host AS
SELECT host,
       count(*) AS sessions,
       round(avg(web_events), 2) AS average_events
  FROM session_events_aggregated_ip
 GROUP BY host
 ORDER BY host;

CREATE VIEW report_sessions_by_host_and_date AS
SELECT host,
       start_session::date AS date,
       count(*) AS sessions
  FROM session_events_aggregated_ip
 GROUP BY host, date
 ORDER BY host, date;

INSERT INTO footfall.rights VALUES
    ('public.report_hits_by_host_and_date',       'footfall_reader', 'SELECT'),
    ('public.report_hits_by_country',             'footfall_reader', 'SELECT'),
    ('public.report_hits_by_country_and_state',   'footfall_reader', 'SELECT'),
    ('public.report_hits_by_hour',                'footfall_reader', 'SELECT'),
    ('public.report_sessions_by_minute_and_host', 'footfall_reader', 'SELECT'),
    ('public.report_average_events_by_host',      'footfall_reader', 'SELECT'),
    ('public.report_sessions_by_host_and_date',   'footfall_reader', 'SELECT');

INSERT INTO footfall.migrations VALUES (5, '0005_reports');
