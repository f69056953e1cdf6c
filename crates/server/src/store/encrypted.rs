//! What stands in the database encrypted under the master key: [`COLUMNS`] is the whole list.
//!
//! A rekey goes through the list and knows nothing else, and a test holds the list against the
//! schema. So a column that is added later cannot be forgotten: either it stands here, or the test
//! asks what it is. Whoever writes such a column raises `installation.keys_version` in the same
//! transaction, or a rekey that runs at the same time would miss what was written.

use grantor_protocol::environment::Environment;

use super::engine::{Columns, Statement, Value};
use super::{Act, Store, StoreError};
use crate::hex::hex;

/// One column that is encrypted under the master key.
struct EncryptedColumn {
    /// `table.column`, for people.
    name: &'static str,
    /// The table.
    table: &'static str,
    /// Reads what stands in it: the key of the row, then the column.
    select: &'static str,
    /// Writes it: `$1` is what is encrypted, the rest is the key of the row.
    update: &'static str,
    /// Reads the key of one row, and what its value is bound to.
    key: fn(&mut Columns) -> Result<RowKey, StoreError>,
}

/// The values of a row's key, and what the encrypted value of the row is bound to.
type RowKey = (Vec<Value>, String);

/// Every encrypted column.
const COLUMNS: [EncryptedColumn; 7] = [
    EncryptedColumn {
        name: "installation.key_check",
        table: "installation",
        select: "SELECT id, key_check FROM installation",
        update: "UPDATE installation SET key_check = $1 WHERE id = $2",
        key: |row| Ok((vec![row.integer("id")?.into()], KEY_CHECK_CONTEXT.to_owned())),
    },
    EncryptedColumn {
        name: "sealing_keys.encrypted",
        table: "sealing_keys",
        select: "SELECT environment, id, encrypted FROM sealing_keys ORDER BY environment, id",
        update: "UPDATE sealing_keys SET encrypted = $1 WHERE environment = $2 AND id = $3",
        key: |row| {
            let name = row.text("environment")?;
            let environment =
                Environment::parse(&name).ok_or_else(|| row.corrupt("environment"))?;
            let id = row.integer("id")?;
            let context =
                sealing_key_context(environment, u32::try_from(id).map_err(|_| row.corrupt("id"))?);
            Ok((vec![name.into(), id.into()], context))
        },
    },
    EncryptedColumn {
        name: "signing_keys.encrypted",
        table: "signing_keys",
        select: "SELECT environment, id, encrypted FROM signing_keys ORDER BY environment, id",
        update: "UPDATE signing_keys SET encrypted = $1 WHERE environment = $2 AND id = $3",
        key: |row| {
            let name = row.text("environment")?;
            let environment =
                Environment::parse(&name).ok_or_else(|| row.corrupt("environment"))?;
            let id = row.text("id")?;
            let context = signing_key_context(environment, &id);
            Ok((vec![name.into(), id.into()], context))
        },
    },
    EncryptedColumn {
        name: "webhook_endpoints.secret_1",
        table: "webhook_endpoints",
        select: "SELECT environment, id, secret_1 FROM webhook_endpoints \
                 WHERE secret_1 IS NOT NULL ORDER BY environment, id",
        update: "UPDATE webhook_endpoints SET secret_1 = $1 WHERE environment = $2 AND id = $3",
        key: |row| webhook_secret_key(row, 1),
    },
    EncryptedColumn {
        name: "webhook_endpoints.secret_2",
        table: "webhook_endpoints",
        select: "SELECT environment, id, secret_2 FROM webhook_endpoints \
                 WHERE secret_2 IS NOT NULL ORDER BY environment, id",
        update: "UPDATE webhook_endpoints SET secret_2 = $1 WHERE environment = $2 AND id = $3",
        key: |row| webhook_secret_key(row, 2),
    },
    EncryptedColumn {
        name: "people.totp",
        table: "people",
        select: "SELECT id, totp FROM people WHERE totp IS NOT NULL ORDER BY id",
        update: "UPDATE people SET totp = $1 WHERE id = $2 AND totp IS NOT NULL",
        key: factor_key,
    },
    EncryptedColumn {
        name: "people.totp_next",
        table: "people",
        select: "SELECT id, totp_next FROM people WHERE totp_next IS NOT NULL ORDER BY id",
        update: "UPDATE people SET totp_next = $1 WHERE id = $2 AND totp_next IS NOT NULL",
        key: factor_key,
    },
];

fn factor_key(row: &mut Columns) -> Result<RowKey, StoreError> {
    let id: [u8; 16] = row.array("id")?;
    Ok((vec![id.into()], factor_context(id)))
}

fn webhook_secret_key(row: &mut Columns, slot: u8) -> Result<RowKey, StoreError> {
    let name = row.text("environment")?;
    let environment = Environment::parse(&name).ok_or_else(|| row.corrupt("environment"))?;
    let id: [u8; 16] = row.array("id")?;
    let context = webhook_secret_context(environment, id, slot);
    Ok((vec![name.into(), id.into()], context))
}

/// What the key check of the installation is bound to.
pub const KEY_CHECK_CONTEXT: &str = "the key check of the installation";

/// What an encrypted sealing key is bound to: moved to another row, it does not decrypt.
pub fn sealing_key_context(environment: Environment, id: u32) -> String {
    format!("the sealing key {id:08x} of {environment}")
}

/// What an encrypted signing key is bound to.
pub fn signing_key_context(environment: Environment, id: &str) -> String {
    format!("the signing key {id} of {environment}")
}

/// What an encrypted secret of a webhook endpoint is bound to: the place too.
pub fn webhook_secret_context(environment: Environment, id: [u8; 16], slot: u8) -> String {
    format!("the webhook secret {slot} of the endpoint {} of {environment}", hex(&id))
}

/// What an encrypted secret of a second factor is bound to: the person, and not the column, because a
/// secret that is confirmed moves from one to the other.
pub fn factor_context(person_id: [u8; 16]) -> String {
    format!("the second factor of {}", hex(&person_id))
}

/// One value that is encrypted under the master key.
#[derive(Clone, Debug)]
pub struct EncryptedValue {
    /// What it is bound to: what it is and where it stands.
    pub context: String,
    /// The value, encrypted.
    pub encrypted: Vec<u8>,
    /// Its place in [`COLUMNS`].
    column: usize,
    key: Vec<Value>,
}

/// How many values one encrypted column has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncryptedCount {
    /// `table.column`
    pub column: &'static str,
    /// How many.
    pub values: usize,
}

/// Another master key, in the place of the one that is in force.
#[derive(Clone, Copy, Debug)]
pub struct Rekey<'a> {
    /// The id of the master key as it was read: it must still stand.
    pub former_id: &'a str,
    /// The version of the keys as it was read: it must still stand.
    pub keys_version: i64,
    /// The id of the new master key.
    pub master_key_id: &'a str,
    /// The new version of the keys.
    pub new_keys_version: i64,
    /// Whose act it is, where it is somebody's.
    pub act: Option<&'a Act>,
}

impl Store {
    /// Everything that is encrypted under the master key, of every column.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn encrypted_values(&self) -> Result<Vec<EncryptedValue>, StoreError> {
        let mut values = Vec::new();
        for (column, found) in COLUMNS.iter().enumerate() {
            for row in self.engine.read(found.select, vec![]).await? {
                let mut row = row.columns(found.table, "(encrypted)");
                let (key, context) = (found.key)(&mut row)?;
                let encrypted = row.bytes("encrypted")?;
                values.push(EncryptedValue { context, encrypted, column, key });
            }
        }
        Ok(values)
    }

    /// Puts another master key in force: its id, and every encrypted value as it is under it, in
    /// one transaction. Answers whether the keys still were what was read.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn rekey(
        &self,
        rekey: &Rekey<'_>,
        values: &[EncryptedValue],
    ) -> Result<bool, StoreError> {
        let mut transaction = vec![Statement::new(
            "UPDATE installation SET master_key_id = $1, keys_version = $2 \
             WHERE id = 1 AND master_key_id = $3 AND keys_version = $4",
            vec![
                rekey.master_key_id.into(),
                rekey.new_keys_version.into(),
                rekey.former_id.into(),
                rekey.keys_version.into(),
            ],
        )];
        transaction.extend(values.iter().map(|value| {
            let mut parameters = vec![value.encrypted.as_slice().into()];
            parameters.extend(value.key.iter().cloned());
            Statement::new(COLUMNS[value.column].update, parameters)
        }));
        self.change_keys(transaction, rekey.new_keys_version, rekey.act).await
    }
}

/// How many values each encrypted column has; a column without any is counted too.
pub fn count_encrypted(values: &[EncryptedValue]) -> Vec<EncryptedCount> {
    COLUMNS
        .iter()
        .enumerate()
        .map(|(at, column)| EncryptedCount {
            column: column.name,
            values: values.iter().filter(|value| value.column == at).count(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::store::Address;

    /// Columns of bytes that are not encrypted: ids, digests, and what is public or drawn.
    const NOT_ENCRYPTED: [&str; 46] = [
        "partners.id",
        "clients.partner_id",
        "clients.secret_1_digest",
        "clients.secret_2_digest",
        "clients.registration_token_digest",
        "customers.id",
        "memberships.customer_id",
        "consents.customer_id",
        "sessions.id_digest",
        "sessions.customer_id",
        "grants.id",
        "grants.customer_id",
        "grants.redirect_uri_digest",
        "grants.code_challenge",
        "grants.attempt",
        "grants.jkt",
        "once_values.id",
        "pushed_requests.id",
        "request_log.token_owner",
        "request_log.token_id",
        "device_authorizations.id",
        "device_authorizations.grant_id",
        "initial_access_tokens.id",
        "initial_access_tokens.digest",
        "revoked_tokens.grant_id",
        "revoked_tokens.token_id",
        "webhook_endpoints.id",
        "webhook_endpoints.partner_id",
        "outbox.lane",
        "outbox.id",
        "outbox.lease",
        "throttles.id",
        "people.id",
        "people.partner_id",
        "invitations.id",
        "invitations.partner_id",
        "requests.id",
        "requests.partner_id",
        "audit.actor_id",
        "audit.partner_id",
        "audit.previous",
        "audit.hash",
        "clients.logo",
        "logos.png",
        "test_customers.partner_id",
        "test_customers.customer_id",
    ];

    #[tokio::test]
    async fn d9_every_column_of_bytes_is_in_the_list_of_a_rekey_or_known_to_be_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("grantor.db");
        let address = Address::Sqlite(path.clone());
        let _store = Store::open(&address, &Clock::manual(1)).await.unwrap();
        let database = rusqlite::Connection::open(path).unwrap();
        let mut columns = database
            .prepare(
                "SELECT m.name || '.' || c.name FROM sqlite_schema m, pragma_table_info(m.name) c \
                 WHERE m.type = 'table' AND c.type = 'BLOB'",
            )
            .unwrap();
        let found = columns.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        assert_known(found);
    }

    #[tokio::test]
    async fn d9_every_column_of_bytes_on_postgres_is_in_the_list_of_a_rekey_too() {
        let database = grantor_test_cluster::Cluster::shared_database().unwrap();
        let address = Address::parse(&database.url(), "".as_ref()).unwrap();
        let _store = Store::open(&address, &Clock::manual(1)).await.unwrap();
        let columns = "SELECT table_name || '.' || column_name FROM information_schema.columns \
                       WHERE table_schema = 'public' AND data_type = 'bytea'";
        let found = database.execute(columns).unwrap();
        assert_known(found.into_iter().map(Option::unwrap).collect());
    }

    #[track_caller]
    fn assert_known(mut found: Vec<String>) {
        let mut known: Vec<&str> =
            COLUMNS.iter().map(|column| column.name).chain(NOT_ENCRYPTED).collect();
        found.sort();
        known.sort_unstable();
        assert_eq!(found, known, "a column of bytes is new: is it encrypted?");
    }
}
