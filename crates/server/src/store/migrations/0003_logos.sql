ALTER TABLE clients ADD COLUMN logo {BYTES};

CREATE TABLE logos (
  environment TEXT NOT NULL,
  client_id TEXT NOT NULL,
  png {BYTES} NOT NULL,
  PRIMARY KEY (environment, client_id)
);
