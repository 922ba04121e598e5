# SPDX-License-Identifier: Apache-2.0
"""Are the tables what these hits must give? Both directions, each row as often as it must be there.

The hits are compared one by one. When they are right the oracle of sessions is one window query over them, which shares nothing
with the aggregator, and that of the rollups counts them."""
import io

from bench.hits import GAP_MS

_HITS = """
DROP SCHEMA IF EXISTS oracle CASCADE;
CREATE SCHEMA oracle;
CREATE TABLE oracle.hits (ip varchar, host varchar, url varchar, referrer varchar, agent varchar, event_timestamp timestamp(3));
CREATE VIEW oracle.events AS SELECT ip, host, url, referrer, agent, event_timestamp FROM oracle.hits;
CREATE VIEW oracle.stored_events AS
SELECT ip, host, url, referrer, user_agent AS agent, event_timestamp
  FROM processed_events LEFT JOIN user_agents ON user_agents.id = user_agent_id;
"""

# first: the hit that the entry page, the referrer and the place are of; equal times are told apart by the bytes of what follows.
_SESSIONS = """
CREATE VIEW oracle.sessions AS
WITH marked AS (
  SELECT *, event_timestamp AS at,
         CASE WHEN event_timestamp - lag(event_timestamp) OVER one <= interval '%(gap)s milliseconds' THEN 0 ELSE 1 END AS begins
    FROM processed_events WINDOW one AS (PARTITION BY ip, host ORDER BY event_timestamp)),
numbered AS (
  SELECT *, sum(begins) OVER (PARTITION BY ip, host ORDER BY at ROWS UNBOUNDED PRECEDING) AS number FROM marked)
SELECT ip, host, min(at) AS start_session, max(at) + interval '%(gap)s milliseconds' AS end_session, count(*) AS web_events,
       count(*) FILTER (WHERE flags & 7 <> 0) AS bot_events,
       min(ARRAY[at::text, url, coalesce(referrer, ''), coalesce(country, ''), coalesce(state, ''), coalesce(city, '')]
           COLLATE "C") AS first,
       max(ARRAY[at::text, url] COLLATE "C") AS last
  FROM numbered GROUP BY ip, host, number;
CREATE VIEW oracle.all_sessions AS
SELECT ip, host, start_session, end_session, web_events, bot_events, last_hit, entry_url, referrer, country, state, city, exit_url
  FROM session_events_aggregated_ip
UNION ALL
SELECT ip, host, start_hit, last_hit + interval '%(gap)s milliseconds', events, bot_events, last_hit, entry_url, referrer, country,
       state, city, exit_url
  FROM footfall.open_sessions;
CREATE VIEW oracle.stored_sessions AS
SELECT ip, host, start_session, end_session, web_events, bot_events,
       ARRAY[start_session::text, entry_url, coalesce(referrer, ''), coalesce(country, ''), coalesce(state, ''),
             coalesce(city, '')] AS first,
       ARRAY[last_hit::text, exit_url] AS last
  FROM oracle.all_sessions;
""" % {"gap": GAP_MS}

_ROLLUPS = """
CREATE OR REPLACE VIEW oracle.traffic AS
SELECT date_trunc('hour', event_timestamp)::timestamp(3) AS hour, host, country, state, city, source, flags & 5 <> 0 AS bot,
       flags & 7 = 0 AS counted, count(*) AS hits
  FROM processed_events GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
CREATE OR REPLACE VIEW oracle.pages AS
SELECT event_timestamp::date AS day, host, source,
       left(coalesce(nullif(regexp_replace(regexp_replace(url, '[?#].*', ''), '^[a-z]+://[^/]*', ''), ''), '/'), 256) AS page,
       flags & 7 = 0 AS counted, count(*) AS hits
  FROM processed_events GROUP BY 1, 2, 3, 4, 5;
CREATE OR REPLACE VIEW oracle.referrers AS
SELECT event_timestamp::date AS day, host, nullif(lower(split_part(split_part(referrer, '/', 3), ':', 1)), '') AS referrer, source,
       flags & 7 = 0 AS counted, count(*) AS hits
  FROM processed_events GROUP BY 1, 2, 3, 4, 5;
CREATE OR REPLACE VIEW oracle.stored_traffic AS SELECT * FROM traffic_by_hour;
CREATE OR REPLACE VIEW oracle.stored_pages AS SELECT day, host, source, page, counted, hits FROM pages_by_day;
CREATE OR REPLACE VIEW oracle.stored_referrers AS SELECT * FROM referrers_by_day;
"""


def _text(value):
    return value.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def _load(database, hits):
    database.execute(_HITS + _SESSIONS)
    lines = io.StringIO("".join(
        f"{hit.ip}\t{hit.host}\t{_text(hit.url)}\t{_text(hit.referrer)}\t{_text(hit.agent)}\t{hit.ts}\n" for hit in hits))
    database.execute("CREATE TABLE oracle.incoming (ip text, host text, url text, referrer text, agent text, ms bigint)")
    database.copy("COPY oracle.incoming FROM STDIN", lines)
    database.execute("INSERT INTO oracle.hits SELECT ip, host, url, referrer, agent,"
                     " timestamp 'epoch' + ms * interval '1 millisecond' FROM oracle.incoming")
    database.execute("DROP TABLE oracle.incoming; ANALYZE oracle.hits")


def _compare(database, what, expected, stored):
    """One snapshot for both directions; aggregators may be closing sessions meanwhile."""
    rows = database.rows(
        f"WITH stored AS MATERIALIZED (SELECT * FROM oracle.{stored}), expected AS MATERIALIZED (SELECT * FROM oracle.{expected}),"
        " missing AS (SELECT * FROM expected EXCEPT ALL SELECT * FROM stored),"
        " excess AS (SELECT * FROM stored EXCEPT ALL SELECT * FROM expected)"
        " (SELECT 'missing', count(*) OVER (), missing.* FROM missing LIMIT 5)"
        " UNION ALL (SELECT 'too many', count(*) OVER (), excess.* FROM excess LIMIT 5)")
    assert not rows, f"{what} differ:\n" + "\n".join(" ".join(str(value) for value in row) for row in rows)


def check_rollups(database):
    """The views are what processed_events gives; `check` was called before, maybe on other hits."""
    database.execute(_ROLLUPS)
    _compare(database, "traffic_by_hour", "traffic", "stored_traffic")
    _compare(database, "pages_by_day", "pages", "stored_pages")
    _compare(database, "referrers_by_day", "referrers", "stored_referrers")


def check_hits(database, hits):
    """processed_events and sessions, open and closed, are exactly what these hits give, to the last column."""
    hits = list(hits)
    _load(database, hits)
    _compare(database, "hits", "events", "stored_events")
    _compare(database, "sessions", "sessions", "stored_sessions")
    assert database.value("SELECT coalesce(sum(web_events), 0) FROM oracle.stored_sessions") == len(hits)


def check(database, hits):
    """The same, and the rollups are what processed_events gives."""
    check_hits(database, hits)
    check_rollups(database)


def wait_all_closed(database):
    database.wait(lambda: database.value("SELECT count(*) FROM footfall.open_sessions"), lambda now: now == 0,
                  "all sessions closed")
