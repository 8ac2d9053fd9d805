-- How many chats the cache was told more of than the database has: what was lost on its way here.
--
-- Parameters, an entry a chat: numbers, tolds (time of the last message that was told of), ends and
-- ats (seq and time of the last line that the cache holds; 0 and null where it holds none).
SELECT count(*)
  FROM unnest(%(numbers)s::bigint[], %(tolds)s::timestamptz[], %(ends)s::bigint[],
              %(ats)s::timestamptz[]) AS cached(number, told, last_seq, at)
  LEFT JOIN messaging_chat c ON c.number = cached.number
  LEFT JOIN messaging_message m ON m.chat_id = c.id AND m.seq = cached.last_seq
 WHERE c.id IS NULL OR c.last_at < cached.told OR c.last_seq < cached.last_seq
    OR (cached.last_seq >= c.db_seq AND m.sent_at IS DISTINCT FROM cached.at);
