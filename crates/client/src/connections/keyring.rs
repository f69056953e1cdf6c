//! The keyring of the user's session: the Secret Service of freedesktop.org, over D-Bus.
//!
//! 1. a session with the service (`plain`: the bus is a socket of this user);
//! 2. look for the item of this id, or make it in the default collection;
//! 3. what is locked is asked to open. Where that takes a prompt, the prompt is never shown: whoever
//!    runs in the background must not wait for somebody to type.

use std::collections::HashMap;
use std::time::Duration;

use zbus::zvariant::{DynamicDeserialize, DynamicType, OwnedObjectPath, OwnedValue, Value};
use zbus::{Connection, connection};
use zeroize::Zeroizing;

const SERVICE: &str = "org.freedesktop.secrets";
const ROOT: &str = "/org/freedesktop/secrets";
/// What stands for "nothing" where a path is answered.
const NOTHING: &str = "/";
/// How long the keyring may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Why the keyring gives or takes nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum KeyringError {
    #[error("does not answer ({0})")]
    Bus(#[from] zbus::Error),
    #[error("did not answer in time")]
    Late,
    #[error("is locked")]
    Locked,
    #[error("does not hold it any more")]
    Missing,
    #[error("cannot be asked ({0})")]
    Thread(#[from] std::io::Error),
}

/// A secret as it goes over the bus: session, parameters, value, content type.
type Carried = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);

/// The secret of that id.
pub(super) fn find(address: &str, id: &str) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
    apart(|| async {
        let service = Service::connect(address).await?;
        let (open, locked): (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) =
            service.call(ROOT, "Service", "SearchItems", &(attributes(id),)).await?;
        let item = match (open.first(), locked.first()) {
            (Some(item), _) => item,
            (None, Some(item)) => {
                service.open(item).await?;
                item
            }
            (None, None) => return Err(KeyringError::Missing),
        };
        let secret: (Carried,) =
            service.call(item.as_str(), "Item", "GetSecret", &(&service.session,)).await?;
        let (_, _, value, _) = secret.0;
        Ok(Zeroizing::new(value))
    })
}

/// Puts a secret into the default collection, under that id.
pub(super) fn keep(address: &str, id: &str, secret: &[u8]) -> Result<(), KeyringError> {
    apart(|| async {
        let service = Service::connect(address).await?;
        let (collection,): (OwnedObjectPath,) =
            service.call(ROOT, "Service", "ReadAlias", &("default",)).await?;
        if collection.as_str() == NOTHING {
            return Err(KeyringError::Missing);
        }
        service.open(&collection).await?;
        let properties = HashMap::from([
            ("org.freedesktop.Secret.Item.Label", Value::from("Grantor: the key of connections")),
            ("org.freedesktop.Secret.Item.Attributes", Value::from(attributes(id))),
        ]);
        let secret = (&service.session, Vec::<u8>::new(), secret, "application/octet-stream");
        let (item, _prompt): (OwnedObjectPath, OwnedObjectPath) = service
            .call(collection.as_str(), "Collection", "CreateItem", &(properties, secret, true))
            .await?;
        if item.as_str() == NOTHING { Err(KeyringError::Locked) } else { Ok(()) }
    })
}

fn attributes(id: &str) -> HashMap<&str, &str> {
    HashMap::from([("application", "grantor-client"), ("key", id)])
}

/// A connection to the service, with its session.
struct Service {
    bus: Connection,
    session: OwnedObjectPath,
}

impl Service {
    async fn connect(address: &str) -> Result<Service, KeyringError> {
        let bus = connection::Builder::address(address)?.build().await?;
        let none = OwnedObjectPath::try_from(ROOT).map_err(zbus::Error::from)?;
        let mut service = Service { bus, session: none };
        let (_, session): (OwnedValue, OwnedObjectPath) =
            service.call(ROOT, "Service", "OpenSession", &("plain", Value::from(""))).await?;
        service.session = session;
        Ok(service)
    }

    /// Opens a collection or an item, unless somebody would have to be asked.
    async fn open(&self, what: &OwnedObjectPath) -> Result<(), KeyringError> {
        let (opened, _prompt): (Vec<OwnedObjectPath>, OwnedObjectPath) =
            self.call(ROOT, "Service", "Unlock", &(vec![what],)).await?;
        if opened.contains(what) { Ok(()) } else { Err(KeyringError::Locked) }
    }

    async fn call<B, A>(
        &self,
        path: &str,
        interface: &str,
        method: &str,
        body: &B,
    ) -> Result<A, zbus::Error>
    where
        B: serde::Serialize + DynamicType,
        A: for<'d> DynamicDeserialize<'d>,
    {
        let interface = format!("org.freedesktop.Secret.{interface}");
        let interface = Some(interface.as_str());
        let answer = self.bus.call_method(Some(SERVICE), path, interface, method, body).await?;
        answer.body().deserialize()
    }
}

/// Asks on a thread with a runtime of its own, so that whoever opens a folder need not be async, and may
/// be.
fn apart<T: Send, A: Future<Output = Result<T, KeyringError>>>(
    ask: impl FnOnce() -> A + Send,
) -> Result<T, KeyringError> {
    let asking = || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            tokio::time::timeout(LIMIT, ask()).await.unwrap_or(Err(KeyringError::Late))
        })
    };
    std::thread::scope(|scope| {
        let asked = scope.spawn(asking).join();
        asked.unwrap_or_else(|_| Err(std::io::Error::other("its thread ended").into()))
    })
}
