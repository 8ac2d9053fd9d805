-- Moves what was copied into `restored` among the messages; what is there already stays.
INSERT INTO messaging_message
  (chat_id, seq, sender_id, subject_id, kind, text, sent_at, client_id)
SELECT chat_id, seq, sender_id, subject_id, kind, text, sent_at, client_id
  FROM restored ORDER BY seq
ON CONFLICT DO NOTHING;
