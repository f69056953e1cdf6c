CREATE TABLE webhook_endpoints (
  environment TEXT NOT NULL,
  id {BYTES} NOT NULL,
  partner_id {BYTES} NOT NULL,
  client_id TEXT,
  url TEXT NOT NULL,
  secret_1 {BYTES},
  secret_2 {BYTES},
  secret_1_hint TEXT,
  secret_2_hint TEXT,
  events TEXT NOT NULL,
  enabled BOOLEAN NOT NULL,
  created_at BIGINT NOT NULL,
  tried_at BIGINT,
  status BIGINT,
  fault TEXT,
  failures BIGINT NOT NULL,
  PRIMARY KEY (environment, id)
);

CREATE INDEX webhook_endpoints_of_partner ON webhook_endpoints (environment, partner_id, id);

CREATE TABLE outbox (
  lane {BYTES} NOT NULL,
  id {BYTES} NOT NULL,
  environment TEXT,
  recipient TEXT,
  subject TEXT NOT NULL,
  body TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  attempts BIGINT NOT NULL,
  next_try_at BIGINT,
  lease {BYTES},
  delivered_at BIGINT,
  gave_up_at BIGINT,
  status BIGINT,
  fault TEXT,
  PRIMARY KEY (lane, id)
);

CREATE INDEX outbox_waiting ON outbox (next_try_at);

CREATE INDEX outbox_waiting_in_lane ON outbox (lane, next_try_at);

CREATE INDEX outbox_created ON outbox (created_at);
