CREATE TABLE throttles (
  realm TEXT NOT NULL,
  id {BYTES} NOT NULL,
  tries BIGINT NOT NULL,
  tried_at BIGINT NOT NULL,
  wait_seconds BIGINT NOT NULL,
  expires_at BIGINT NOT NULL,
  PRIMARY KEY (realm, id)
){CLUSTERED};
