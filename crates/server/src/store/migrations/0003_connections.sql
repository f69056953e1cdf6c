CREATE INDEX grants_of_customer ON grants (customer_id);

CREATE INDEX sessions_of_customer ON sessions (environment, customer_id);
