-- Numbers of attempts that were left out after a crash: the next attempt has the number attempts + left_out + 1.
ALTER TABLE saga_task ADD COLUMN left_out INTEGER NOT NULL DEFAULT 0;
ALTER TABLE saga_delivery ADD COLUMN left_out INTEGER NOT NULL DEFAULT 0;
