-- messaging_append: the next entry of a chat's log.
--
-- Guarantees: the seq is the chat's last one plus one, and `sent_at` is later than every earlier
-- one in the chat; both become visible with the commit and in the order of the commits.
-- Needs: the caller's transaction holds the chat's row (FOR NO KEY UPDATE), so that the clock is
-- read after the wait for it. `now()` would be the transaction's start, before the wait.

CREATE OR REPLACE FUNCTION messaging_append(
  p_chat uuid, p_sender uuid, p_kind text, p_text text, p_client_id text, p_subject uuid,
  OUT seq bigint, OUT sent_at timestamptz
) LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  UPDATE messaging_chat AS chat
     SET last_seq = chat.last_seq + 1,
         last_at = greatest(
           chat.last_at + interval '1 microsecond',
           clock_timestamp(),
           (SELECT floor FROM messaging_logstate WHERE id = 1))
   WHERE chat.id = p_chat
  RETURNING chat.last_seq, chat.last_at INTO seq, sent_at;
  INSERT INTO messaging_message
    (chat_id, seq, sender_id, subject_id, kind, text, sent_at, client_id)
  VALUES (p_chat, seq, p_sender, p_subject, p_kind, p_text, sent_at, p_client_id);
END $$;
