-- Records a segment whose objects have all been read back, with these, and moves the chat's watermark
-- to it; notes what the next manifest is to say of them.
WITH moved AS (
  INSERT INTO archive_watermark (chat_id, archived_seq) VALUES (%(chat)s, %(last)s)
  ON CONFLICT (chat_id) DO UPDATE
    SET archived_seq = greatest(archive_watermark.archived_seq, excluded.archived_seq)
), recorded AS (
  INSERT INTO archive_segment (chat_id, hour, first_seq, last_seq, first_at, last_at)
  VALUES (%(chat)s, %(hour)s, %(first)s, %(last)s, %(first_at)s, %(last_at)s)
  ON CONFLICT (chat_id, hour) DO UPDATE
    SET first_seq = excluded.first_seq, last_seq = excluded.last_seq, last_at = excluded.last_at,
        verified_at = clock_timestamp(), purged_at = NULL
  RETURNING id
), objects AS (
  INSERT INTO archive_hourobject (segment_id, user_id, first_seq, last_seq, count, size, sha256, etag,
                                  generation)
  SELECT recorded.id, o.*
    FROM recorded CROSS JOIN unnest(
           %(users)s::uuid[], %(firsts)s::bigint[], %(lasts)s::bigint[], %(counts)s::bigint[],
           %(sizes)s::bigint[], %(digests)s::bytea[], %(etags)s::text[], %(generations)s::int[]) AS o
  ON CONFLICT (segment_id, user_id) DO UPDATE
    SET first_seq = excluded.first_seq, last_seq = excluded.last_seq, count = excluded.count,
        size = excluded.size, sha256 = excluded.sha256, etag = excluded.etag,
        generation = excluded.generation, next_sha256 = NULL
), noted AS (
  INSERT INTO archive_manifestnote (shard, hour, count, digest, named)
  SELECT n.shard, %(hour)s, n.count, n.digest, n.named
    FROM unnest(%(note_shards)s::smallint[], %(note_counts)s::int[], %(note_digests)s::bytea[],
                %(note_names)s::jsonb[]) AS n(shard, count, digest, named)
)
SELECT id FROM recorded;
