-- Numbers of attempts that were left out after a crash: the next attempt has the number attempts + left_out + 1.
ALTER TABLE saga_task ADD COLUMN left_out INTEGER NOT NULL DEFAULT 0;
ALTER TABLE saga_delivery ADD COLUMN left_out INTEGER NOT NULL DEFAULT 0;

-- Conflicts under one message id share a row, which is found by the id.
ALTER TABLE saga_dead ADD COLUMN times INTEGER NOT NULL DEFAULT 1;
CREATE INDEX saga_dead_message ON saga_dead (taker, key, message) WHERE message IS NOT NULL;

-- Deliveries whose publisher has chosen the message id are found by it. Of those that are there nobody knows.
ALTER TABLE saga_delivery ADD COLUMN named INTEGER NOT NULL DEFAULT 1;
CREATE INDEX saga_delivery_named ON saga_delivery (taker, key, message) WHERE named = 1;
