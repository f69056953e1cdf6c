
CREATE TABLE test_customers (
  partner_id {BYTES} NOT NULL,
  customer_id {BYTES} NOT NULL,
  made_by TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  PRIMARY KEY (partner_id, customer_id)
);
