-- SPDX-License-Identifier: Apache-2.0
-- At which hours of the day (UTC) do the hits come, and what share of all is each, in percent?
SELECT extract(hour FROM event_timestamp)::integer AS hour,
       count(*) AS hits,
       round(100 * count(*) / sum(count(*)) OVER (), 2) AS share
  FROM processed_events
 GROUP BY hour
 ORDER BY hour;
