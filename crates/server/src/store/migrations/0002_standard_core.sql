ALTER TABLE clients ADD COLUMN authentication_method TEXT;
ALTER TABLE clients ADD COLUMN jwks TEXT;
ALTER TABLE clients ADD COLUMN jwks_uri TEXT;
ALTER TABLE clients ADD COLUMN grant_types TEXT;
ALTER TABLE clients ADD COLUMN par_required BOOLEAN;
ALTER TABLE clients ADD COLUMN dpop_required BOOLEAN;
ALTER TABLE clients ADD COLUMN offline_access_required BOOLEAN;
ALTER TABLE clients ADD COLUMN id_token_algorithm TEXT;
ALTER TABLE clients ADD COLUMN post_logout_redirect_uris TEXT;
ALTER TABLE clients ADD COLUMN registration TEXT;
ALTER TABLE clients ADD COLUMN registration_token_digest {BYTES};
ALTER TABLE clients ADD COLUMN metadata TEXT;

ALTER TABLE grants ADD COLUMN resources TEXT;
ALTER TABLE grants ADD COLUMN jkt {BYTES};
ALTER TABLE grants ADD COLUMN openid TEXT;

ALTER TABLE consents ADD COLUMN resources TEXT;
CREATE INDEX consents_of_client ON consents (environment, client_key);

CREATE TABLE signing_keys (
  environment TEXT NOT NULL,
  id TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  encrypted {BYTES} NOT NULL,
  public_jwk TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  signs_from BIGINT NOT NULL,
  PRIMARY KEY (environment, id)
);

CREATE TABLE once_values (
  environment TEXT NOT NULL,
  id {BYTES} NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (environment, id)
){CLUSTERED};

CREATE TABLE pushed_requests (
  environment TEXT NOT NULL,
  id {BYTES} NOT NULL,
  client_key BIGINT NOT NULL,
  parameters TEXT NOT NULL,
  opened BOOLEAN,
  epoch BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (environment, id)
);

CREATE INDEX pushed_requests_of_client ON pushed_requests (environment, client_key);

CREATE TABLE device_authorizations (
  environment TEXT NOT NULL,
  id {BYTES} NOT NULL,
  user_code TEXT NOT NULL,
  client_key BIGINT NOT NULL,
  client_counter BIGINT NOT NULL,
  scope TEXT NOT NULL,
  resources TEXT,
  requested_from TEXT NOT NULL,
  interval_seconds BIGINT NOT NULL,
  polled_at BIGINT,
  decided_at BIGINT,
  allowed BOOLEAN,
  grant_id {BYTES},
  epoch BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (environment, id),
  UNIQUE (environment, user_code)
);

CREATE INDEX devices_of_client ON device_authorizations (environment, client_key);

CREATE TABLE initial_access_tokens (
  environment TEXT NOT NULL,
  id {BYTES} NOT NULL,
  digest {BYTES} NOT NULL,
  note TEXT NOT NULL,
  uses_left BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (environment, id)
);
