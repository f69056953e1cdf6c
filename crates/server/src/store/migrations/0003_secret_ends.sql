ALTER TABLE clients ADD COLUMN secret_1_expires_at BIGINT;
ALTER TABLE clients ADD COLUMN secret_1_told_at BIGINT;
ALTER TABLE clients ADD COLUMN secret_2_expires_at BIGINT;
ALTER TABLE clients ADD COLUMN secret_2_told_at BIGINT;

-- Of the secrets that end alone, and of those the ones whose owners do not know it yet.
CREATE INDEX clients_by_secret_1_end ON clients (secret_1_expires_at)
  WHERE secret_1_expires_at IS NOT NULL AND secret_1_told_at IS NULL;
CREATE INDEX clients_by_secret_2_end ON clients (secret_2_expires_at)
  WHERE secret_2_expires_at IS NOT NULL AND secret_2_told_at IS NULL;
