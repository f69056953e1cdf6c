//! Client secrets that end soon, and whose owners do not know it yet.

use grantor_protocol::client::SecretDigest;
use grantor_protocol::environment::Environment;

use super::engine::{Row, Statement};
use super::{Store, StoreError, outbox};
use crate::mail::Mail;
use crate::webhook::Notice;

/// How long before its end a secret's owners are told, in seconds; at half of its life where it has
/// less than twice that.
pub const TOLD_BEFORE_SECONDS: i64 = 14 * 24 * 3600;

/// A secret that ends soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndingSecret {
    /// Its client.
    pub client_id: String,
    /// The client's name.
    pub client_name: String,
    /// The client's partner.
    pub partner_id: [u8; 16],
    /// Its place: 1 or 2.
    pub slot: i64,
    /// Which it is.
    digest: SecretDigest,
    /// Its last characters.
    pub hint: String,
    /// When it ends, in Unix seconds.
    pub expires_at: i64,
}

const IN_1: &str = "SELECT id, name, partner_id, secret_1_digest, secret_1_hint, \
    secret_1_created_at, secret_1_expires_at FROM clients \
    WHERE secret_1_expires_at IS NOT NULL AND secret_1_told_at IS NULL \
    AND secret_1_digest IS NOT NULL \
    AND secret_1_expires_at <= $2 AND environment = $1 ORDER BY secret_1_expires_at LIMIT $3";
const IN_2: &str = "SELECT id, name, partner_id, secret_2_digest, secret_2_hint, \
    secret_2_created_at, secret_2_expires_at FROM clients \
    WHERE secret_2_expires_at IS NOT NULL AND secret_2_told_at IS NULL \
    AND secret_2_digest IS NOT NULL \
    AND secret_2_expires_at <= $2 AND environment = $1 ORDER BY secret_2_expires_at LIMIT $3";
const TOLD_1: &str = "UPDATE clients SET secret_1_told_at = $4 WHERE environment = $1 AND id = $2 \
    AND secret_1_digest = $3 AND secret_1_told_at IS NULL";
const TOLD_2: &str = "UPDATE clients SET secret_2_told_at = $4 WHERE environment = $1 AND id = $2 \
    AND secret_2_digest = $3 AND secret_2_told_at IS NULL";

impl Store {
    /// Secrets of an environment whose end is near, at most that many in each place, the first to
    /// end first. What is in a short life's first half stands among them, and is left out.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn ending_secrets(
        &self,
        environment: Environment,
        now: i64,
        most: i64,
    ) -> Result<Vec<EndingSecret>, StoreError> {
        let mut ending = Vec::new();
        for (slot, sql) in (1..).zip([IN_1, IN_2]) {
            let horizon = now + TOLD_BEFORE_SECONDS;
            let values = vec![environment.as_str().into(), horizon.into(), most.into()];
            for row in self.engine.read(sql, values).await? {
                ending.extend(read(row, slot, now)?);
            }
        }
        Ok(ending)
    }

    /// Tells a partner that a secret ends, once: the call of its webhooks and the mails to its owners
    /// come with the mark that it was told. Answers whether nobody had told it before.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn tell_secret_ends(
        &self,
        secret: &EndingSecret,
        notice: &Notice,
        mails: &[Mail],
    ) -> Result<bool, StoreError> {
        let values = vec![
            notice.environment.as_str().into(),
            secret.client_id.as_str().into(),
            (*secret.digest.as_bytes()).into(),
            notice.at.into(),
        ];
        let mark = if secret.slot == 1 { TOLD_1 } else { TOLD_2 };
        let mut transaction = vec![Statement::new(mark, values), outbox::tell(notice)];
        transaction.extend(mails.iter().map(outbox::post));
        Ok(self.engine.write(transaction).await?.is_done())
    }
}

fn read(row: Row, slot: i64, now: i64) -> Result<Option<EndingSecret>, StoreError> {
    let mut row = row.columns("clients", "(a secret)");
    let secret = EndingSecret {
        client_id: row.text("id")?,
        client_name: row.text("name")?,
        partner_id: row.array("partner_id")?,
        slot,
        digest: SecretDigest::from_bytes(row.array("secret digest")?),
        hint: row.text("secret hint")?,
        expires_at: 0,
    };
    let (created_at, expires_at) =
        (row.integer("secret created_at")?, row.integer("secret expires_at")?);
    let before = TOLD_BEFORE_SECONDS.min((expires_at - created_at) / 2);
    Ok((expires_at - before <= now).then_some(EndingSecret { expires_at, ..secret }))
}
