-- SPDX-License-Identifier: Apache-2.0
-- How many events does a session have on average, by site?
SELECT host,
       count(*) AS sessions,
       round(avg(web_events), 2) AS average_events
  FROM session_events_aggregated_ip
 GROUP BY host
 ORDER BY host;
