-- SPDX-License-Identifier: Apache-2.0
-- Which states of which countries do the hits come from? `-` is what is not known.
SELECT coalesce(nullif(nullif(geodata, '')::json ->> 'country', ''), '-') AS country,
       coalesce(nullif(nullif(geodata, '')::json ->> 'state', ''), '-') AS state,
       count(*) AS hits
  FROM processed_events
 GROUP BY 1, 2 -- not by name: newer tables have columns of these names
 ORDER BY hits DESC, country, state;
