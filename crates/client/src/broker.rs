//! Tokens for other programs of this machine, so that none of them holds the refresh token.
//!
//! 1. [`Broker::on_socket`] listens on a Unix socket and asks the system who calls: another user gets
//!    nothing. [`Broker::on_loopback`] listens on a port, and there a key says it.
//! 2. `GET /token`, with `?connection=NAME` where there are several, answers a [`TokenAnswer`] in JSON;
//!    `GET /connections` names what there is. An error is `{"error","error_description"}`.
//! 3. Each call reads what is on the disk and renews it where it must, by the rules of
//!    [`crate::renewal`]: the broker keeps nothing, and other processes may use the folder beside it.

mod serving;

use std::fs::{self, Permissions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use tokio::net::{TcpListener, UnixListener};
use zeroize::Zeroizing;

use crate::connection::Connection;
use crate::connections::{self, Connections};
use crate::http::Http;
use crate::random::Random;
use crate::secret::Secret;
use serving::Serving;

/// Serves tokens.
pub struct Broker {
    listener: Listener,
    serving: Arc<Serving>,
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
    /// broker left is replaced.
    ///
    /// # Errors
    /// What the system says; `AddrInUse` where a broker is there already, or a file that is no socket.
    pub async fn on_socket(
        connections: Connections,
        http: Http,
        path: &Path,
    ) -> io::Result<Broker> {
        use std::os::unix::fs::FileTypeExt as _;
        match fs::symlink_metadata(path) {
            Ok(there) if there.file_type().is_socket() => {
                if tokio::net::UnixStream::connect(path).await.is_ok() {
                    return Err(io::Error::new(
                        io::ErrorKind::AddrInUse,
                        "a broker is there already",
                    ));
                }
                fs::remove_file(path)?;
            }
            Ok(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "there is a file that is no socket",
                ));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        // Whoever made the socket is who runs this process.
        let owner = fs::metadata(path)?.uid();
        Ok(Broker::on(Listener::Unix(listener, owner), connections, http))
    }

    /// Listens on a loopback address, with a key that is drawn anew. Where it listens and the key stand
    /// in that file, of mode 0600, as `{"url","key"}`; a caller sends `Authorization: Bearer KEY`.
    ///
    /// # Errors
    /// What the system says, and an address that is not loopback.
    pub async fn on_loopback(
        connections: Connections,
        http: Http,
        address: SocketAddr,
        (key_file, random): (&Path, &Random),
    ) -> io::Result<Broker> {
        if !address.ip().is_loopback() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the address is not loopback"));
        }
        let listener = TcpListener::bind(address).await?;
        let key = Secret::new(random.secret().to_string());
        let url = format!("http://{}", listener.local_addr()?);
        let text = serde_json::json!({ "url": url, "key": key.expose() }).to_string();
        let text = Zeroizing::new(text);
        connections::write_private(key_file, text.as_bytes()).map_err(io::Error::other)?;
        Ok(Broker::on(Listener::Tcp(listener, Arc::new(key)), connections, http))
    }

    fn on(listener: Listener, connections: Connections, http: Http) -> Broker {
        Broker { listener, serving: Arc::new(Serving { connections, http }) }
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
        match self.listener {
            Listener::Unix(listener, owner) => serving::unix(&listener, owner, self.serving).await,
            Listener::Tcp(listener, key) => serving::tcp(&listener, key, self.serving).await,
        }
    }
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
            let broker = Broker { listener, serving: broker.serving };
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
}
