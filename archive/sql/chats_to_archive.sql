-- The next chats, by id, that have messages above their watermark.
SELECT c.id, c.number, c.last_seq - coalesce(w.archived_seq, c.start_seq - 1) AS pending
  FROM messaging_chat c LEFT JOIN archive_watermark w ON w.chat_id = c.id
 WHERE c.id > %(after)s AND c.last_seq > coalesce(w.archived_seq, c.start_seq - 1)
 ORDER BY c.id
 LIMIT %(most)s;
