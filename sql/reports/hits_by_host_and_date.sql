-- SPDX-License-Identifier: Apache-2.0
-- How many hits does each site get each day (UTC)?
SELECT host,
       event_timestamp::date AS date,
       count(*) AS hits
  FROM processed_events
 GROUP BY host, date
 ORDER BY host, date;
