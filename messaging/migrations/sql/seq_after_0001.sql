-- messaging_seq_after: the smallest seq from p_first to p_last sent after p_at, else p_last + 1.
--
-- `sent_at` grows with seq, so a search by seq needs no index on time, which every send would have
-- to pay for. It gallops down from the end, since news are few and at the end, then halves.
-- A seq whose row has left the database counts as sent before.

CREATE OR REPLACE FUNCTION messaging_seq_after(
  p_chat uuid, p_first bigint, p_last bigint, p_at timestamptz
) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  low bigint := p_first;
  high bigint := p_last + 1;
  step bigint := 1;
  probe bigint;
  moment timestamptz;
BEGIN
  WHILE low < high LOOP
    IF step > 0 THEN
      probe := greatest(high - step, low);
    ELSE
      probe := (low + high) / 2;
    END IF;
    SELECT m.sent_at INTO moment FROM messaging_message m
     WHERE m.chat_id = p_chat AND m.seq = probe;
    IF FOUND AND moment > p_at THEN
      high := probe;
      step := step * 2;
    ELSE
      low := probe + 1;
      step := 0;
    END IF;
  END LOOP;
  RETURN high;
END $$;
