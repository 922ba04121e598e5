-- SPDX-License-Identifier: Apache-2.0
-- How many sessions begin each minute (UTC) on each site?
SELECT date_trunc('minute', start_session) AS minute,
       host,
       count(*) AS sessions
  FROM session_events_aggregated_ip
 GROUP BY minute, host
 ORDER BY minute, host;
