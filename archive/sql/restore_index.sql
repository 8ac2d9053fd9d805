-- Records hours of a chat and the objects that they were read from.
WITH stored AS (
  INSERT INTO archive_segment (chat_id, hour, first_seq, last_seq, first_at, last_at)
  SELECT %(chat)s, s.*
    FROM unnest(%(hours)s::timestamptz[], %(firsts)s::bigint[], %(lasts)s::bigint[],
                %(first_ats)s::timestamptz[], %(last_ats)s::timestamptz[]) AS s
  ON CONFLICT (chat_id, hour) DO UPDATE
    SET first_seq = excluded.first_seq, last_seq = excluded.last_seq, first_at = excluded.first_at,
        last_at = excluded.last_at, purged_at = NULL
  RETURNING id, hour
), objects AS (
  INSERT INTO archive_hourobject (segment_id, user_id, first_seq, last_seq, count, size, sha256, etag,
                                  generation)
  SELECT stored.id, o.user_id, o.first_seq, o.last_seq, o.count, o.size, o.sha256, o.etag,
         o.generation
    FROM unnest(%(of_hours)s::timestamptz[], %(users)s::uuid[], %(object_firsts)s::bigint[],
                %(object_lasts)s::bigint[], %(counts)s::bigint[], %(sizes)s::bigint[],
                %(digests)s::bytea[], %(etags)s::text[], %(generations)s::int[])
         AS o(hour, user_id, first_seq, last_seq, count, size, sha256, etag, generation)
    JOIN stored ON stored.hour = o.hour
  ON CONFLICT (segment_id, user_id) DO UPDATE
    SET first_seq = excluded.first_seq, last_seq = excluded.last_seq, count = excluded.count,
        size = excluded.size, sha256 = excluded.sha256, etag = excluded.etag,
        generation = excluded.generation, next_sha256 = NULL
)
SELECT count(*) FROM stored;
