-- How far cold storage is behind, and what its last runs came to: one row.
--
-- A chat's messages are in order of seq and of time alike, so the first one above its watermark is
-- its oldest that is not in cold storage. An hour is complete when no chat has one of it.
WITH pending AS (
  SELECT c.id, coalesce(w.archived_seq, c.start_seq - 1) AS archived_seq, c.last_seq
    FROM messaging_chat c LEFT JOIN archive_watermark w ON w.chat_id = c.id
   WHERE c.last_seq > coalesce(w.archived_seq, c.start_seq - 1)
), waiting AS (
  SELECT min(m.sent_at) AS oldest, coalesce(sum(p.last_seq - p.archived_seq), 0) AS number
    FROM pending p
    LEFT JOIN messaging_message m ON m.chat_id = p.id AND m.seq = p.archived_seq + 1
), purge AS (
  SELECT * FROM archive_retentionrun WHERE finished_at IS NOT NULL ORDER BY id DESC LIMIT 1
), backup AS (
  SELECT * FROM archive_backuprun WHERE finished_at IS NOT NULL ORDER BY id DESC LIMIT 1
), drill AS (
  SELECT * FROM archive_drillrun WHERE finished_at IS NOT NULL ORDER BY id DESC LIMIT 1
)
SELECT extract(epoch FROM date_bin('1 hour', least(waiting.oldest, clock_timestamp()), 'epoch'::timestamptz))::float
         AS complete_until,
       extract(epoch FROM clock_timestamp())::float AS now,
       waiting.number::bigint AS waiting,
       (SELECT extract(epoch FROM s.hour)::float FROM archive_segment s
         WHERE s.purged_at IS NULL ORDER BY s.hour LIMIT 1) AS oldest_hour,
       (SELECT count(*) FROM archive_erasure WHERE done_at IS NULL) AS erasures,
       extract(epoch FROM purge.finished_at)::float AS purge_at,
       purge.due AS purge_due, purge.deleted AS purge_deleted, purge.freed AS purge_freed,
       purge.failed AS purge_failed,
       extract(epoch FROM backup.finished_at)::float AS backup_at,
       backup.messages AS backup_messages, backup.objects_written AS backup_objects,
       backup.failed AS backup_failed, backup.missing AS backup_missing,
       extract(epoch FROM drill.finished_at)::float AS drill_at,
       drill.ok AS drill_ok, drill.restored AS drill_restored, drill.differing AS drill_differing,
       drill.missing AS drill_missing, drill.lost AS drill_lost, drill.lost_seconds AS drill_lost_seconds
  FROM waiting LEFT JOIN purge ON true LEFT JOIN backup ON true
  LEFT JOIN drill ON true;
