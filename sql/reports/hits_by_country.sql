-- SPDX-License-Identifier: Apache-2.0
-- Which countries do the hits come from, and what share of all is each, in percent? `-` is what is not known.
SELECT coalesce(nullif(nullif(geodata, '')::json ->> 'country', ''), '-') AS country,
       count(*) AS hits,
       round(100 * count(*) / sum(count(*)) OVER (), 2) AS share
  FROM processed_events
 GROUP BY 1 -- not by name: newer tables have a column of that name
 ORDER BY hits DESC, country;
