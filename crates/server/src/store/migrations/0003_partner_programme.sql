ALTER TABLE sessions ADD COLUMN factor_at BIGINT;

ALTER TABLE clients ADD COLUMN support_contact TEXT;
ALTER TABLE clients ADD COLUMN sibling TEXT;
ALTER TABLE clients ADD COLUMN suspended BOOLEAN;
CREATE INDEX clients_of_partner ON clients (partner_id, environment, id);

ALTER TABLE partners ADD COLUMN suspended BOOLEAN;
CREATE INDEX partners_by_name ON partners (name, id);

CREATE TABLE people (
  id {BYTES} PRIMARY KEY,
  staff TEXT,
  partner_id {BYTES},
  role TEXT,
  joined_at BIGINT NOT NULL,
  totp {BYTES},
  totp_next {BYTES},
  totp_confirmed_at BIGINT,
  totp_step BIGINT,
  recovery_codes TEXT
);
CREATE INDEX people_of_partner ON people (partner_id, id);
CREATE INDEX people_of_staff ON people (id) WHERE staff IS NOT NULL;

CREATE TABLE invitations (
  id {BYTES} PRIMARY KEY,
  partner_id {BYTES},
  staff TEXT,
  email TEXT NOT NULL,
  role TEXT,
  invited_by TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  expires_at BIGINT NOT NULL
);
CREATE INDEX invitations_of_partner ON invitations (partner_id, id);
CREATE INDEX invitations_of_staff ON invitations (id) WHERE staff IS NOT NULL;
CREATE INDEX invitations_by_email ON invitations (email);

CREATE TABLE requests (
  id {BYTES} PRIMARY KEY,
  partner_id {BYTES} NOT NULL,
  kind TEXT NOT NULL,
  client_id TEXT NOT NULL,
  asked TEXT NOT NULL,
  state TEXT NOT NULL,
  version BIGINT NOT NULL,
  asked_by TEXT NOT NULL,
  asked_at BIGINT NOT NULL,
  decided_by TEXT,
  decided_at BIGINT,
  note TEXT,
  made_client_id TEXT
);
CREATE INDEX requests_waiting ON requests (state, id);
CREATE INDEX requests_of_partner ON requests (partner_id, id);
CREATE INDEX requests_of_client ON requests (client_id, id);

CREATE TABLE audit (
  number BIGINT PRIMARY KEY,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  actor_id {BYTES},
  act TEXT NOT NULL,
  partner_id {BYTES},
  client_id TEXT,
  detail TEXT NOT NULL,
  previous {BYTES} NOT NULL,
  hash {BYTES} NOT NULL
);
CREATE INDEX audit_of_partner ON audit (partner_id, number);
CREATE INDEX audit_of_client ON audit (client_id, number);
