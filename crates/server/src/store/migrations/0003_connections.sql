CREATE INDEX grants_of_customer ON grants (customer_id);

CREATE INDEX sessions_of_customer ON sessions (environment, customer_id);

CREATE INDEX memberships_of_business ON memberships (environment, business_id);

CREATE INDEX clients_of_themselves ON clients (environment)
  WHERE registration IN ('itself', 'document') AND NOT disabled;
