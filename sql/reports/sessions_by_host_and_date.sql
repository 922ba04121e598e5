-- SPDX-License-Identifier: Apache-2.0
-- How many sessions begin each day (UTC) on each site?
SELECT host,
       start_session::date AS date,
       count(*) AS sessions
  FROM session_events_aggregated_ip
 GROUP BY host, date
 ORDER BY host, date;
