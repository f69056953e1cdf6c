//! Tokens for other programs of this machine, so that none of them holds the refresh token.
//!
//! 1. [`Broker::on_socket`] listens on a Unix socket and asks the system who calls: another user gets
//!    nothing. [`Broker::on_loopback`] listens on a port, and there a key says it.
//! 2. `GET /token`, with `?connection=NAME` where there are several, answers a [`TokenAnswer`] in JSON;
//!    `GET /connections` names what there is. An error is `{"error","error_description"}`.
//! 3. Each call reads what is on the disk and renews it where it must, by the rules of
//!    [`crate::renewal`]: the broker keeps nothing, and other processes may use the folder beside it.
//! 4. [`Broker::serve_until`] takes leave: it takes nobody new, lets calls under way end, and waits for
//!    the refreshes that it has sent.
//!
//! Beside its socket or its key file, under the same name and `.lock`, stands a file that a broker holds
//! a lock on for as long as it lives: a second one does not take the place of the first.

mod serving;

use std::fs::{self, File, Permissions, TryLockError};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use tokio::net::{TcpListener, UnixListener};
use zeroize::Zeroizing;

use crate::connection::Connection;
use crate::connections::{self, Connections};
use crate::http::Http;
use crate::random::Random;
use crate::secret::Secret;
use serving::{Callers, Serving};

/// Serves tokens.
pub struct Broker {
    listener: Listener,
    serving: Arc<Serving>,
    place: Place,
}

/// What a broker is found by, its socket or its key file, for it alone.
struct Place {
    path: PathBuf,
    // Locked for as long as it is open.
    _lock: File,
}

enum Listener {
    /// With the user who may call.
    Unix(UnixListener, u32),
    /// With what a caller has to know.
    Tcp(TcpListener, Arc<Secret>),
}

/// What `GET /token` answers; `grantor token --output json` too.
#[derive(Serialize)]
pub struct TokenAnswer<'a> {
    /// What opens the API.
    pub access_token: &'a str,
    /// `Bearer`
    pub token_type: &'static str,
    /// How long it lives, in seconds.
    pub expires_in: i64,
    /// When it ends, in Unix seconds.
    pub expires_at: i64,
    /// What was allowed, where the server said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<&'a str>,
    /// The name of the connection.
    pub connection: &'a str,
}

impl<'a> TokenAnswer<'a> {
    /// The answer for a connection; `now` in Unix seconds.
    pub fn of(connection: &'a Connection, now: i64) -> TokenAnswer<'a> {
        TokenAnswer {
            access_token: connection.tokens.access_token.expose(),
            token_type: "Bearer",
            expires_in: (connection.tokens.expires_at - now).max(0),
            expires_at: connection.tokens.expires_at,
            scope: connection.tokens.scope.as_deref(),
            connection: &connection.name,
        }
    }
}

impl Broker {
    /// Listens on a Unix socket of mode 0600, for the user of this process. A socket that a dead
    /// broker of theirs left is replaced.
    ///
    /// # Errors
    /// What the system says; `AddrInUse` where a broker is there already, or a file that is no socket.
    pub async fn on_socket(
        connections: Connections,
        http: Http,
        path: &Path,
    ) -> io::Result<Broker> {
        let place = Place::take(path)?;
        match fs::symlink_metadata(path) {
            Ok(there) => remove_dead(path, &there).await?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        let listener = Listener::Unix(listener, connections::own_user());
        Ok(Broker::on(listener, place, connections, http))
    }

    /// Listens on a loopback address, with a key that is drawn anew. Where it listens and the key stand
    /// in that file, of mode 0600, as `{"url","key"}`; a caller sends `Authorization: Bearer KEY`.
    ///
    /// # Errors
    /// What the system says, and an address that is not loopback; `AddrInUse` where a broker has that
    /// key file already.
    pub async fn on_loopback(
        connections: Connections,
        http: Http,
        address: SocketAddr,
        (key_file, random): (&Path, &Random),
    ) -> io::Result<Broker> {
        if !address.ip().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the address is not loopback"));
        }
        let place = Place::take(key_file)?;
        let listener = TcpListener::bind(address).await?;
        let key = Secret::new(random.secret().to_string());
        let url = format!("http://{}", listener.local_addr()?);
        let text = serde_json::json!({ "url": url, "key": key.expose() }).to_string();
        let text = Zeroizing::new(text);
        connections::write_private(key_file, text.as_bytes()).map_err(io::Error::other)?;
        Ok(Broker::on(Listener::Tcp(listener, Arc::new(key)), place, connections, http))
    }

    fn on(listener: Listener, place: Place, connections: Connections, http: Http) -> Broker {
        Broker { listener, serving: Arc::new(Serving { connections, http }), place }
    }

    /// Where it listens, if that is an address.
    pub fn address(&self) -> Option<SocketAddr> {
        match &self.listener {
            Listener::Tcp(listener, _) => listener.local_addr().ok(),
            Listener::Unix(..) => None,
        }
    }

    /// Serves for ever. Whoever drops this ends it.
    pub async fn serve(self) {
        self.serve_until(std::future::pending()).await;
    }

    /// Serves until `stop`. Then the socket or the key file is removed, nobody new is taken, and calls
    /// under way have ten seconds to end. A refresh that was sent is waited for to its end
    /// ([`Connections::leave`]), also where its caller is gone: some forty seconds at most for all of it.
    pub async fn serve_until(self, stop: impl Future<Output = ()>) {
        let Broker { listener, serving, place } = self;
        let mut callers = Callers::default();
        let serve = async {
            match &listener {
                Listener::Unix(listener, owner) => {
                    serving::unix(listener, *owner, &serving, &mut callers).await;
                }
                Listener::Tcp(listener, key) => {
                    serving::tcp(listener, key, &serving, &mut callers).await;
                }
            }
        };
        tokio::select! {
            () = serve => {}
            () = stop => {}
        }
        // Where it is gone already, nothing is left to remove.
        let _ = fs::remove_file(&place.path);
        drop(listener);
        callers.leave().await;
        serving.connections.leave().await;
    }
}

impl Place {
    fn take(path: &Path) -> io::Result<Place> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".lock");
        let lock = connections::open_lock(Path::new(&beside)).map_err(io::Error::other)?;
        match lock.try_lock() {
            Ok(()) => Ok(Place { path: path.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(in_use("a broker is there already")),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Removes the socket of a broker of this user that is dead, and nothing else.
async fn remove_dead(path: &Path, there: &fs::Metadata) -> io::Result<()> {
    if !there.file_type().is_socket() {
        return Err(in_use("there is a file that is no socket"));
    }
    if there.uid() != connections::own_user() {
        return Err(in_use("there is a socket of another user"));
    }
    // Whoever listens without our lock is no broker of ours, and keeps its place all the same.
    if tokio::net::UnixStream::connect(path).await.is_ok() {
        return Err(in_use("another program listens there already"));
    }
    fs::remove_file(path)
}

fn in_use(words: &str) -> io::Error {
    io::Error::new(io::ErrorKind::AddrInUse, words)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::clock::Clock;

    #[tokio::test]
    async fn a_caller_whom_the_system_calls_another_user_gets_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("connections");
        let connections = Connections::open(&own, &Clock::system(), &Random::system()).unwrap();
        let socket = folder.path().join("broker.sock");
        for (others, expected) in [(0, "404"), (1, "403")] {
            let broker =
                Broker::on_socket(connections.clone(), Http::new(), &socket).await.unwrap();
            let Listener::Unix(listener, owner) = broker.listener else {
                panic!("no socket");
            };
            let listener = Listener::Unix(listener, owner + others);
            let broker = Broker { listener, serving: broker.serving, place: broker.place };
            let serving = tokio::spawn(broker.serve());
            let mut caller = tokio::net::UnixStream::connect(&socket).await.unwrap();
            caller.write_all(b"GET /token HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
            let mut answer = String::new();
            let reading = caller.read_to_string(&mut answer);
            tokio::time::timeout(Duration::from_secs(10), reading).await.unwrap().unwrap();
            assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{answer}");
            serving.abort();
            let _ = serving.await;
        }
    }

    #[tokio::test]
    async fn what_is_no_dead_broker_of_this_user_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let own = folder.path().join("connections");
        let connections = Connections::open(&own, &Clock::system(), &Random::system()).unwrap();
        let socket = folder.path().join("broker.sock");
        let refused = async || {
            let broker = Broker::on_socket(connections.clone(), Http::new(), &socket).await;
            broker.map(|_| ()).unwrap_err().to_string()
        };
        let other = UnixListener::bind(&socket).unwrap();
        assert_eq!(refused().await, "another program listens there already");
        drop(other);
        // Only root can give a socket away.
        if connections::own_user() == 0 {
            std::os::unix::fs::chown(&socket, Some(65_534), None).unwrap();
            assert_eq!(refused().await, "there is a socket of another user");
        }
        assert!(socket.exists());
    }
}
