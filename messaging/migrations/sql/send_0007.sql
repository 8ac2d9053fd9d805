-- messaging_send: a user's text into a private chat (by its recipient) or a group (by its id).
--
-- One statement, hence one transaction and one round trip; each statement inside sees what was
-- committed before it began, so after the wait for the chat's row it sees a removal or a block
-- that the send was racing. Outcomes:
--   sent      the message is in the log
--   repeat    this sender had sent this client_id and text to this chat before: that message
--   conflict  the same client_id with another text; nothing was written
--   absent    no such user or chat, or not a member; nothing was written
--   blocked   the recipient blocks the sender; nothing was written
--   unopened  there is no such chat yet and no id for a new one (p_new_chat) was given; nothing was
--             written
--   frozen    the group takes no messages, by a moderator's decision; nothing was written
--   returning the chat is being restored, and its messages are not back yet; nothing was written
-- `readers` lists who may see it, for the cache: "user first_seq" joined by commas; empty when the
-- chat is wide. `opened` is true when this message opened the chat.

CREATE OR REPLACE FUNCTION messaging_send(
  p_sender uuid, p_recipient uuid, p_chat uuid, p_new_chat uuid, p_text text, p_client_id text,
  OUT outcome text, OUT chat uuid, OUT number bigint, OUT seq bigint, OUT sent_at timestamptz,
  OUT wide boolean, OUT opened boolean, OUT readers text
) LANGUAGE plpgsql VOLATILE AS $$
DECLARE
  kind text;
  wide_from bigint;
  frozen boolean;
  ends bigint;
  earlier record;
  trimmed record;
BEGIN
  opened := false;
  IF p_chat IS NULL THEN
    SELECT c.id, c.kind, c.number, c.wide_from, c.last_seq INTO chat, kind, number, wide_from, ends
      FROM messaging_chat c
     WHERE c.kind = 'private'
       AND c.low_id = least(p_sender, p_recipient) AND c.high_id = greatest(p_sender, p_recipient)
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
      IF NOT EXISTS (SELECT FROM accounts_user u WHERE u.id = p_recipient) THEN
        outcome := 'absent';
        RETURN;
      END IF;
      IF EXISTS (SELECT FROM accounts_block b
                  WHERE b.blocker_id = p_recipient AND b.blocked_id = p_sender) THEN
        outcome := 'blocked';
        RETURN;
      END IF;
      IF p_new_chat IS NULL THEN
        outcome := 'unopened';
        RETURN;
      END IF;
      -- Two first messages at once: the later waits here for the earlier's commit, then finds it.
      INSERT INTO messaging_chat (id, kind, name, low_id, high_id, member_count)
      VALUES (p_new_chat, 'private', '', least(p_sender, p_recipient),
              greatest(p_sender, p_recipient), 2)
      ON CONFLICT (low_id, high_id) WHERE messaging_chat.kind = 'private' DO NOTHING;
      opened := FOUND;
      IF opened THEN
        INSERT INTO messaging_membership (chat_id, user_id, role, first_seq, joined_at)
        VALUES (p_new_chat, p_sender, 'member', 1, clock_timestamp()),
               (p_new_chat, p_recipient, 'member', 1, clock_timestamp());
      END IF;
      SELECT c.id, c.kind, c.number, c.wide_from, c.last_seq
        INTO chat, kind, number, wide_from, ends
        FROM messaging_chat c
       WHERE c.kind = 'private'
         AND c.low_id = least(p_sender, p_recipient) AND c.high_id = greatest(p_sender, p_recipient)
         FOR NO KEY UPDATE;
    END IF;
    -- A chat is opened together with its first message: without one, a restore is at work on it.
    IF ends = 0 AND NOT opened THEN
      outcome := 'returning';
      RETURN;
    END IF;
  ELSE
    SELECT c.id, c.kind, c.number, c.wide_from, c.frozen_at IS NOT NULL
      INTO chat, kind, number, wide_from, frozen
      FROM messaging_chat c
     WHERE c.id = p_chat AND c.kind = 'group'
       FOR NO KEY UPDATE;
    IF NOT FOUND THEN
      outcome := 'absent';
      RETURN;
    END IF;
  END IF;
  wide := wide_from IS NOT NULL;

  -- What was sent was sent, whatever has changed since: this comes before the rights.
  IF p_client_id IS NOT NULL THEN
    SELECT m.seq, m.sent_at, m.text, m.kind INTO earlier FROM messaging_message m
     WHERE m.chat_id = chat AND m.sender_id = p_sender AND m.client_id = p_client_id;
    IF FOUND THEN
      outcome := CASE WHEN earlier.text = p_text OR earlier.kind = 'removed'
                      THEN 'repeat' ELSE 'conflict' END;
      seq := earlier.seq;
      sent_at := earlier.sent_at;
    ELSE
      -- It may have left the database meanwhile: kept is what tells the text from another.
      SELECT t.seq, t.sent_at, t.digest INTO trimmed FROM messaging_trimmedsend t
       WHERE t.chat_id = chat AND t.sender_id = p_sender AND t.client_id = p_client_id;
      IF FOUND THEN
        outcome := CASE WHEN trimmed.digest IS NULL
                          OR trimmed.digest = sha256(convert_to(p_text, 'UTF8'))
                        THEN 'repeat' ELSE 'conflict' END;
        seq := trimmed.seq;
        sent_at := trimmed.sent_at;
      END IF;
    END IF;
  END IF;

  IF outcome IS NULL THEN
    IF kind = 'private' THEN
      IF EXISTS (SELECT FROM accounts_block b
                  WHERE b.blocker_id = p_recipient AND b.blocked_id = p_sender) THEN
        IF opened THEN
          -- Blocked since it was looked up above: a chat without a message is none.
          DELETE FROM messaging_membership m WHERE m.chat_id = chat;
          DELETE FROM messaging_chat c WHERE c.id = chat;
          opened := false;
        END IF;
        outcome := 'blocked';
        RETURN;
      END IF;
    ELSIF NOT EXISTS (SELECT FROM messaging_membership m
                       WHERE m.chat_id = chat AND m.user_id = p_sender AND m.last_seq IS NULL) THEN
      outcome := 'absent';
      RETURN;
    ELSIF frozen THEN
      outcome := 'frozen';
      RETURN;
    END IF;
    outcome := 'sent';
    SELECT a.seq, a.sent_at INTO seq, sent_at
      FROM messaging_append(chat, p_sender, 'text', p_text, p_client_id, NULL) a;
  END IF;

  IF kind = 'private' THEN
    readers := p_sender::text || ' 1,' || p_recipient::text || ' 1';
  ELSIF NOT wide THEN
    SELECT string_agg(m.user_id::text || ' ' || m.first_seq::text, ',') INTO readers
      FROM messaging_membership m WHERE m.chat_id = chat AND m.last_seq IS NULL;
  END IF;
END $$;
