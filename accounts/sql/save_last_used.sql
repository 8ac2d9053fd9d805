-- Note when tokens were last used. Parameters: digests (bytea[]), milliseconds since 1970 (bigint[]).
--
-- Times only move forward, so doing it twice or late changes nothing. Rows are locked in the order
-- of their ids, as a revocation does, so that the two never wait for each other in a circle.
WITH uses AS (
    SELECT digest, max(ms) AS ms
    FROM unnest(%s::bytea[], %s::bigint[]) AS noted (digest, ms)
    GROUP BY digest
), locked AS (
    SELECT token.id, uses.ms
    FROM accounts_token AS token
    JOIN uses ON uses.digest = token.digest
    ORDER BY token.id
    FOR NO KEY UPDATE OF token
)
UPDATE accounts_token AS token
SET last_used_at = greatest(token.last_used_at, to_timestamp(locked.ms / 1000.0))
FROM locked
WHERE token.id = locked.id
