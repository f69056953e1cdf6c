CREATE TABLE installation (
  id BIGINT PRIMARY KEY,
  master_key_id TEXT NOT NULL,
  key_check {BYTES} NOT NULL,
  epoch BIGINT NOT NULL,
  keys_version BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  written_at BIGINT
);

CREATE TABLE sealing_keys (
  environment TEXT NOT NULL,
  id BIGINT NOT NULL,
  encrypted {BYTES} NOT NULL,
  created_at BIGINT NOT NULL,
  seals_from BIGINT NOT NULL,
  PRIMARY KEY (environment, id)
);

CREATE TABLE partners (
  id {BYTES} PRIMARY KEY,
  name TEXT NOT NULL,
  contact TEXT,
  verified BOOLEAN NOT NULL,
  created_at BIGINT NOT NULL
);

CREATE TABLE clients (
  environment TEXT NOT NULL,
  id TEXT NOT NULL,
  key BIGINT NOT NULL,
  partner_id {BYTES} NOT NULL,
  name TEXT NOT NULL,
  website TEXT,
  redirect_uris TEXT NOT NULL,
  scopes TEXT NOT NULL,
  optional_scopes TEXT NOT NULL,
  public BOOLEAN NOT NULL,
  approved BOOLEAN NOT NULL,
  disabled BOOLEAN NOT NULL,
  demo BOOLEAN NOT NULL,
  counter BIGINT NOT NULL,
  refresh_tokens BOOLEAN NOT NULL,
  parameters_in_query BOOLEAN NOT NULL,
  pkce_required BOOLEAN NOT NULL,
  refresh_window_seconds BIGINT,
  secret_1_digest {BYTES},
  secret_1_hint TEXT,
  secret_1_created_at BIGINT,
  secret_1_used_at BIGINT,
  secret_2_digest {BYTES},
  secret_2_hint TEXT,
  secret_2_created_at BIGINT,
  secret_2_used_at BIGINT,
  query_calls BIGINT NOT NULL,
  query_called_at BIGINT,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (environment, id),
  UNIQUE (environment, key)
);

CREATE TABLE customers (
  environment TEXT NOT NULL,
  id {BYTES} NOT NULL,
  email TEXT NOT NULL,
  name TEXT NOT NULL,
  password_hash TEXT NOT NULL,
  disabled BOOLEAN NOT NULL,
  demo BOOLEAN NOT NULL,
  counter BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (environment, id),
  UNIQUE (environment, email)
);

CREATE TABLE businesses (
  environment TEXT NOT NULL,
  id BIGINT NOT NULL,
  name TEXT NOT NULL,
  currency TEXT NOT NULL,
  PRIMARY KEY (environment, id)
);

CREATE TABLE locations (
  environment TEXT NOT NULL,
  id BIGINT NOT NULL,
  business_id BIGINT NOT NULL,
  name TEXT NOT NULL,
  country TEXT NOT NULL,
  timezone TEXT NOT NULL,
  PRIMARY KEY (environment, business_id, id)
);

CREATE TABLE memberships (
  environment TEXT NOT NULL,
  customer_id {BYTES} NOT NULL,
  business_id BIGINT NOT NULL,
  PRIMARY KEY (environment, customer_id, business_id)
);

CREATE TABLE consents (
  environment TEXT NOT NULL,
  customer_id {BYTES} NOT NULL,
  client_key BIGINT NOT NULL,
  scope TEXT NOT NULL,
  asked_scope TEXT NOT NULL,
  businesses TEXT NOT NULL,
  redirect_uri TEXT NOT NULL,
  revoked BOOLEAN NOT NULL,
  counter BIGINT NOT NULL,
  epoch BIGINT NOT NULL,
  given_at BIGINT NOT NULL,
  PRIMARY KEY (environment, customer_id, client_key)
);

CREATE TABLE sessions (
  environment TEXT NOT NULL,
  id_digest {BYTES} NOT NULL,
  customer_id {BYTES} NOT NULL,
  customer_counter BIGINT NOT NULL,
  epoch BIGINT NOT NULL,
  signed_in_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (environment, id_digest)
);

CREATE TABLE grants (
  environment TEXT NOT NULL,
  id {BYTES} NOT NULL,
  client_key BIGINT NOT NULL,
  client_counter BIGINT NOT NULL,
  customer_counter BIGINT NOT NULL,
  consent_counter BIGINT NOT NULL,
  code_expires_at BIGINT NOT NULL,
  generation BIGINT NOT NULL,
  redeemed_at BIGINT,
  turned_at BIGINT,
  idle_expires_at BIGINT,
  ends_at BIGINT,
  revoked_at BIGINT,
  repeats_running BIGINT NOT NULL,
  repeated BOOLEAN NOT NULL,
  customer_id {BYTES} NOT NULL,
  redirect_uri_digest {BYTES} NOT NULL,
  code_challenge {BYTES},
  attempt {BYTES},
  turned_from TEXT,
  scope TEXT NOT NULL,
  businesses TEXT NOT NULL,
  PRIMARY KEY (environment, id)
){CLUSTERED};

CREATE TABLE revoked_tokens (
  environment TEXT NOT NULL,
  grant_id {BYTES} NOT NULL,
  token_id {BYTES} NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (environment, grant_id, token_id)
){CLUSTERED};
