-- What is new to a user since a cursor: one row per stretch with news, in no order.
--
-- Parameters: user, at (the cursor's time), numbers and positions (its map, two arrays).
-- `from_seq` is the first seq of the stretch sent after the chat's position, `until_seq` the last
-- seq of the stretch; `start_seq` and `end_seq` are the chat's as far as the user may see it.
-- The stretch begins at `lowest_seq`; what of it is below `db_seq` has left the database, and only
-- when `from_seq` is the first seq still there can some of it be news.
-- Every row begins with the database's time before the statement, and the epoch; a user without
-- news gets one row with nulls behind them.
WITH news AS (
SELECT c.id, c.number, c.kind,
       CASE c.kind WHEN 'group' THEN c.name ELSE other.display_name END AS name,
       greatest(c.start_seq, seen.first_seq) AS start_seq,
       least(c.last_seq, seen.last_seq) AS end_seq,
       messaging_seq_after(c.id, greatest(c.start_seq, s.first_seq),
                           coalesce(s.last_seq, c.last_seq), coalesce(p.at, %(at)s)) AS from_seq,
       coalesce(s.last_seq, c.last_seq) AS until_seq,
       greatest(c.start_seq, s.first_seq) AS lowest_seq, c.db_seq
  FROM messaging_membership s
  JOIN messaging_chat c ON c.id = s.chat_id
  LEFT JOIN unnest(%(numbers)s::bigint[], %(positions)s::timestamptz[]) AS p(number, at)
         ON p.number = c.number
  LEFT JOIN accounts_user other
         ON c.kind = 'private'
        AND other.id = CASE c.low_id WHEN %(user)s THEN c.high_id ELSE c.low_id END
 CROSS JOIN LATERAL (
       SELECT min(a.first_seq) FILTER (WHERE coalesce(a.last_seq, c.last_seq) >= c.start_seq)
                AS first_seq,
              CASE WHEN bool_or(a.last_seq IS NULL) THEN c.last_seq ELSE max(a.last_seq) END AS last_seq
         FROM messaging_membership a WHERE a.chat_id = c.id AND a.user_id = %(user)s) AS seen
 WHERE s.user_id = %(user)s
   AND coalesce(s.left_at, c.last_at) > coalesce(p.at, %(at)s)
)
SELECT statement_timestamp() AS now, state.epoch, news.*
  FROM messaging_logstate state LEFT JOIN news ON true
 WHERE state.id = 1;
