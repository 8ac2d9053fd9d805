-- How many objects the index has of each user, in order of user; none of who was or is being erased.
--
-- Parameters: after, first (whether `after` itself is among them), most.
SELECT o.user_id, count(*)
  FROM archive_hourobject o JOIN archive_segment s ON s.id = o.segment_id
 WHERE (o.user_id > %(after)s OR (%(first)s AND o.user_id = %(after)s))
   AND s.purged_at IS NULL
   AND NOT EXISTS (SELECT FROM archive_eraseduser e WHERE e.user_id = o.user_id)
 GROUP BY o.user_id
 ORDER BY o.user_id
 LIMIT %(most)s;
