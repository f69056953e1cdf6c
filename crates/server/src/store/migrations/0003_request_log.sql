CREATE TABLE request_log (
  environment TEXT NOT NULL,
  client_key BIGINT NOT NULL,
  called_at BIGINT NOT NULL,
  request_id TEXT NOT NULL,
  called_in TEXT NOT NULL,
  endpoint TEXT NOT NULL,
  grant_type TEXT,
  outcome TEXT NOT NULL,
  status BIGINT NOT NULL,
  cause TEXT,
  anchor TEXT,
  words TEXT,
  proved BOOLEAN NOT NULL,
  parameters TEXT NOT NULL,
  network TEXT,
  microseconds BIGINT NOT NULL,
  trial TEXT,
  token_owner {BYTES},
  token_id {BYTES},
  token_expires_at BIGINT,
  PRIMARY KEY (environment, client_key, called_at, request_id)
);

CREATE INDEX request_log_by_request_id ON request_log (environment, request_id);

CREATE TABLE client_facts (
  environment TEXT NOT NULL,
  client_key BIGINT NOT NULL,
  fact TEXT NOT NULL,
  first_at BIGINT NOT NULL,
  last_at BIGINT NOT NULL,
  times BIGINT NOT NULL,
  PRIMARY KEY (environment, client_key, fact)
){CLUSTERED};

CREATE TABLE trials (
  environment TEXT NOT NULL,
  client_key BIGINT NOT NULL,
  kind TEXT NOT NULL,
  armed_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  taken_at BIGINT,
  PRIMARY KEY (environment, client_key, kind)
){CLUSTERED};
