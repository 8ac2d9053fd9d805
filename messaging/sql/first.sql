-- What a first poll shows as of a moment: the active chats, or else the five latest.
--
-- Parameters: user, moment (nothing can still commit at or before it), window (interval), few (5)
-- and at (what is dated up to it has been shown already).
-- One row per chat: its last seq and that message's time as of the moment, and the stretches that
-- the user may see, as [[first, last or null], ...]. A chat whose members joined after the moment
-- has nothing to show yet: what comes after is news.
-- A chat of which everything in the database is later than the moment is `unsure`: only a slower
-- tier knows how far it had come, so then all chats are returned for the caller to choose among.
WITH mine AS (
  SELECT DISTINCT ON (c.id)
         c.id, c.number, c.kind, c.name, c.low_id, c.high_id, c.start_seq, c.db_seq,
         c.last_seq AS end_seq,
         CASE WHEN c.last_at <= %(moment)s THEN c.last_seq
              ELSE messaging_seq_after(c.id, greatest(s.first_seq, c.start_seq), c.last_seq,
                                       %(moment)s) - 1 END AS until_seq,
         CASE WHEN c.last_at <= %(moment)s THEN c.last_at END AS last_at,
         s.first_seq
    FROM messaging_membership s
    JOIN messaging_chat c ON c.id = s.chat_id
   WHERE s.user_id = %(user)s AND (s.left_at IS NULL OR s.left_at > %(moment)s)
   ORDER BY c.id, s.first_seq DESC
), dated AS (
  SELECT mine.*,
         coalesce(mine.last_at, (SELECT m.sent_at FROM messaging_message m
                                  WHERE m.chat_id = mine.id AND m.seq = mine.until_seq)) AS at
    FROM mine
   WHERE mine.until_seq >= mine.first_seq
), weighed AS (
  SELECT dated.*,
         dated.last_at IS NULL AND dated.until_seq + 1 = dated.db_seq
           AND greatest(dated.first_seq, dated.start_seq) < dated.db_seq AS unsure
    FROM dated
), ranked AS (
  SELECT weighed.*, row_number() OVER (ORDER BY weighed.at DESC, weighed.number) AS place,
         count(*) FILTER (WHERE weighed.at > %(moment)s - %(window)s) OVER () AS active,
         bool_or(weighed.unsure) OVER () AS any_unsure
    FROM weighed
)
SELECT r.id, r.number, r.kind,
       CASE r.kind WHEN 'group' THEN r.name ELSE other.display_name END AS name,
       r.start_seq, r.end_seq, r.until_seq,
       CASE WHEN %(at)s < '1971-01-01' THEN 1
            ELSE messaging_seq_after(r.id, r.start_seq, r.until_seq, %(at)s) END AS from_seq,
       ARRAY(SELECT ARRAY[a.first_seq, a.last_seq] FROM messaging_membership a
              WHERE a.chat_id = r.id AND a.user_id = %(user)s ORDER BY a.first_seq) AS stretches,
       r.first_seq, r.db_seq, r.at, r.unsure
  FROM ranked r
  LEFT JOIN accounts_user other
         ON r.kind = 'private'
        AND other.id = CASE r.low_id WHEN %(user)s THEN r.high_id ELSE r.low_id END
 WHERE r.any_unsure OR r.place <= greatest(r.active, CASE r.active WHEN 0 THEN %(few)s ELSE 0 END);
