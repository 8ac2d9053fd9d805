-- What waits for a moderator: one row. A live case is in a small index of its own.
SELECT count(*) AS cases,
       coalesce(max(extract(epoch FROM clock_timestamp() - opened_at)), 0)::float AS oldest_case
  FROM moderation_case
 WHERE state IN ('open', 'in_progress');
