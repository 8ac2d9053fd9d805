-- How far messages may be counted: the last of the next `most` ids whose message is so old that
-- none with a smaller id can still be committed. Null when there is none.
SELECT max(id) FROM (
  SELECT id FROM messaging_message
   WHERE id > %(after)s AND sent_at <= clock_timestamp() - %(margin)s * interval '1 second'
   ORDER BY id LIMIT %(most)s
) AS next;
