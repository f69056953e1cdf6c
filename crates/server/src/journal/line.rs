//! One line of the journal: an object of JSON that ends in a sum over the rest of it.

use aws_lc_rs::digest::{SHA256, digest};
use grantor_protocol::environment::Environment;
use serde::{Deserialize, Serialize};

/// Stands before the sum. A line without it was torn.
pub(super) const SUM: &str = ",\"sum\":\"";

/// What ended. It names whatever it is about by id alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Ending {
    /// One connection.
    Grant {
        /// its environment
        #[serde(with = "environment")]
        environment: Environment,
        /// its id
        #[serde(with = "id")]
        id: [u8; 16],
    },
    /// All connections of a customer to a client, and the consent.
    Consent {
        /// their environment
        #[serde(with = "environment")]
        environment: Environment,
        /// the customer
        #[serde(with = "id")]
        customer_id: [u8; 16],
        /// the client
        client_id: String,
    },
    /// All connections of a client.
    Client {
        /// its environment
        #[serde(with = "environment")]
        environment: Environment,
        /// its id
        id: String,
    },
    /// A client was switched off.
    ClientDisabled {
        /// its environment
        #[serde(with = "environment")]
        environment: Environment,
        /// its id
        id: String,
    },
    /// All clients of a partner were switched off, in both environments.
    PartnerDisabled {
        /// the partner
        #[serde(with = "id")]
        id: [u8; 16],
    },
    /// All sessions and connections of a customer.
    Customer {
        /// the customer's environment
        #[serde(with = "environment")]
        environment: Environment,
        /// the customer
        #[serde(with = "id")]
        id: [u8; 16],
    },
    /// A customer was switched off.
    CustomerDisabled {
        /// the customer's environment
        #[serde(with = "environment")]
        environment: Environment,
        /// the customer
        #[serde(with = "id")]
        id: [u8; 16],
    },
    /// A customer's password was set, which ended sessions and connections.
    PasswordChanged {
        /// the customer's environment
        #[serde(with = "environment")]
        environment: Environment,
        /// the customer
        #[serde(with = "id")]
        id: [u8; 16],
    },
    /// A customer changed the password, which ended the other sessions and no connection.
    OwnPasswordChanged {
        /// the customer's environment
        #[serde(with = "environment")]
        environment: Environment,
        /// the customer
        #[serde(with = "id")]
        id: [u8; 16],
    },
    /// A sealing key was removed, and with it everything that it sealed.
    SealingKey {
        /// its environment
        #[serde(with = "environment")]
        environment: Environment,
        /// its id
        id: u32,
    },
    /// A signing key was removed, and with it everything that it signed.
    SigningKey {
        /// its environment
        #[serde(with = "environment")]
        environment: Environment,
        /// its `kid`
        id: String,
    },
    /// A secret of a client was added or removed.
    SecretChanged {
        /// its environment
        #[serde(with = "environment")]
        environment: Environment,
        /// the client
        client_id: String,
    },
    /// A redirect URI or a scope was taken from a client.
    ClientNarrowed {
        /// its environment
        #[serde(with = "environment")]
        environment: Environment,
        /// the client
        client_id: String,
    },
    /// The second factor of a person of the portal was taken away, reset or replaced.
    FactorEnded {
        /// the person
        #[serde(with = "id")]
        id: [u8; 16],
    },
    /// A recovery code of a person of the portal was used.
    RecoveryCodeUsed {
        /// the person
        #[serde(with = "id")]
        id: [u8; 16],
    },
    /// A webhook endpoint was changed, or removed, or a secret of it.
    WebhookChanged {
        /// its environment
        #[serde(with = "environment")]
        environment: Environment,
        /// its id
        #[serde(with = "id")]
        id: [u8; 16],
    },
}

/// What else stands in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Mark {
    /// A server began to serve.
    Opened,
    /// A server serves.
    Alive,
    /// A server stopped as it was asked to.
    Closed,
    /// A backup was begun: whatever it may lack comes below.
    Backup {
        /// the backup
        id: String,
    },
    /// A backup was restored.
    Restored {
        /// which one
        backup: String,
        /// the epoch since
        epoch: i64,
    },
}

/// An ending or a mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Entry {
    /// what ended
    Ending(Ending),
    /// what else happened
    Mark(Mark),
}

/// A line that was read.
#[derive(Debug, Deserialize)]
pub(super) struct Line {
    pub(super) at: i64,
    pub(super) writer: String,
    pub(super) n: u64,
    #[serde(flatten)]
    pub(super) entry: Entry,
}

#[derive(Serialize)]
struct NewLine<'a> {
    at: i64,
    writer: &'a str,
    n: u64,
    #[serde(flatten)]
    entry: &'a Entry,
}

/// Writes a line, without its end.
pub(super) fn write(at: i64, writer: &str, n: u64, entry: &Entry) -> String {
    #[expect(clippy::expect_used, reason = "names and numbers are always JSON")]
    let mut text = serde_json::to_string(&NewLine { at, writer, n, entry }).expect("JSON");
    let sum = sum(text.as_bytes());
    text.pop();
    format!("{text}{SUM}{sum}\"}}")
}

/// Why a line cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LineFault {
    /// It ends too early: the process that wrote it went away in the middle.
    Torn,
    /// It was changed.
    Changed,
    /// Its sum is right, and this program does not know what it says.
    Unknown,
}

/// Reads a line, without its end.
pub(super) fn read(bytes: &[u8]) -> Result<Line, LineFault> {
    let text = String::from_utf8_lossy(bytes);
    let Some(at) = text.rfind(SUM) else {
        return Err(if text.ends_with("\"}") { LineFault::Changed } else { LineFault::Torn });
    };
    let (front, behind) = text.split_at(at);
    let object = format!("{front}}}");
    if behind != format!("{SUM}{}\"}}", sum(object.as_bytes())) {
        return Err(LineFault::Changed);
    }
    serde_json::from_str(&object).map_err(|_| LineFault::Unknown)
}

/// It finds accidents. Whoever may write the file can write a right sum too.
fn sum(object: &[u8]) -> String {
    hex(&digest(&SHA256, object).as_ref()[..8])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

mod environment {
    use grantor_protocol::environment::Environment;
    use serde::de::{Deserialize as _, Deserializer, Error as _};
    use serde::ser::Serializer;

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
    pub(super) fn serialize<S: Serializer>(it: &Environment, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(it.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Environment, D::Error> {
        let name = String::deserialize(from)?;
        Environment::parse(&name).ok_or_else(|| D::Error::custom("no environment"))
    }
}

mod id {
    use serde::de::{Deserialize as _, Deserializer, Error as _};
    use serde::ser::Serializer;
    use uuid::Uuid;

    pub(super) fn serialize<S: Serializer>(id: &[u8; 16], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&super::hex(id))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 16], D::Error> {
        let text = String::deserialize(from)?;
        Uuid::try_parse(&text).map(Uuid::into_bytes).map_err(D::Error::custom)
    }
}
