-- How many objects the index has of each user, and a number that their chats and hours make (as
-- archive/listing.py has it), in order of user; none of who was or is being erased.
--
-- Parameters: after, first (whether `after` itself is among them), most.
SELECT o.user_id, count(*),
       sum(('x' || left(md5(s.chat_id || ' ' || extract(epoch FROM s.hour)::bigint / 3600), 15))::bit(60)::bigint)::text
  FROM archive_hourobject o JOIN archive_segment s ON s.id = o.segment_id
 WHERE (o.user_id > %(after)s OR (%(first)s AND o.user_id = %(after)s))
   AND s.purged_at IS NULL
   AND NOT EXISTS (SELECT FROM archive_eraseduser e WHERE e.user_id = o.user_id)
 GROUP BY o.user_id
 ORDER BY o.user_id
 LIMIT %(most)s;
