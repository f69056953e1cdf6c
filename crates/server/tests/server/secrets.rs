//! Secrets of clients, added and removed as the portal and the commands do it, with an act of a
//! test's own.

use grantor::store::{Act, Store};
use grantor_protocol::client::SecretDigest;

use crate::calls::act_of_test;
use crate::harness::START;

/// Adds a secret that does not end. Answers in which place, or `None` where there is none.
pub(crate) async fn add_secret(
    store: &Store,
    client_id: &str,
    secret: &(SecretDigest, String),
) -> Option<i64> {
    let record = store.client(client_id).await.unwrap().unwrap();
    let act = about(client_id, "secret.added");
    store.add_app_secret(&record, (secret, None), &act).await.unwrap()
}

/// Removes the secret in that place. Answers whether it was there, and not the last one.
pub(crate) async fn remove_secret(store: &Store, client_id: &str, slot: i64) -> bool {
    let record = store.client(client_id).await.unwrap().unwrap();
    let act = about(client_id, "secret.removed");
    store.remove_app_secret(&record, (slot, START), &act).await.unwrap()
}

fn about(client_id: &str, name: &'static str) -> Act {
    Act { client_id: Some(client_id.to_owned()), ..act_of_test(name) }
}
