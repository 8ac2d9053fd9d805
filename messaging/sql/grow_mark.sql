-- Lets the mark grow by one, if it is still what the caller saw and has not grown for a while.
--
-- Parameters: number (as the caller saw it, 0 for none), every (interval), looks (jsonb).
-- Returns the new number, or no row when another was first.
INSERT INTO messaging_databasemark AS mark (id, number, grown_at, looks)
VALUES (1, 1, clock_timestamp(), %(looks)s)
ON CONFLICT (id) DO UPDATE
   SET number = mark.number + 1, grown_at = clock_timestamp(), looks = EXCLUDED.looks
 WHERE mark.number = %(number)s
   AND mark.grown_at NOT BETWEEN clock_timestamp() - %(every)s AND clock_timestamp()
RETURNING mark.number;
