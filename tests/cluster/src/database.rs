//! A fresh database for one test, on a cluster that many tests share.
//!
//! `tests/run` starts one cluster for all and names it in `GRANTOR_TEST_POSTGRES`. Without that,
//! the first test of a process starts one, and the last that holds a database of it ends it.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::sql::execute;
use crate::{Cluster, Fault, random};

/// The variable with the URL of a superuser on a running server, for all tests to share.
pub const SHARED: &str = "GRANTOR_TEST_POSTGRES";

/// The cluster of this process, as long as a test holds a database of it.
static OWN: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());

/// An empty database. It goes when this is dropped, whoever is still connected.
pub struct Database {
    name: String,
    server_url: String,
    /// Where nobody named a server: this process's own, which goes with its last database.
    _cluster: Option<Arc<Cluster>>,
}

impl Cluster {
    /// A fresh, empty database on the server that all tests share.
    ///
    /// # Errors
    /// [`Fault`]: there is no PostgreSQL, or it does not answer.
    pub fn shared_database() -> Result<Database, Fault> {
        let (server_url, cluster) = match std::env::var_os(SHARED) {
            Some(url) => (url.to_string_lossy().into_owned(), None),
            None => {
                let cluster = own_cluster()?;
                (cluster.url("postgres"), Some(cluster))
            }
        };
        let name = format!("test_{:016x}", random());
        execute(
            &server_url,
            &format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'"),
        )?;
        Ok(Database { name, server_url, _cluster: cluster })
    }
}

impl Database {
    /// Its URL.
    pub fn url(&self) -> String {
        at(&self.server_url, &self.name)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs a statement in it, and gives the first column of its rows as text.
    ///
    /// # Errors
    /// [`Fault`]: the server refuses it, or does not answer.
    pub fn execute(&self, sql: &str) -> Result<Vec<Option<String>>, Fault> {
        execute(&self.url(), sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Where the server went away first, the database went with it.
        let _ = execute(&self.server_url, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

fn own_cluster() -> Result<Arc<Cluster>, Fault> {
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(cluster) = own.upgrade() {
        return Ok(cluster);
    }
    let cluster = Arc::new(Cluster::start()?);
    *own = Arc::downgrade(&cluster);
    Ok(cluster)
}

/// The same server's URL for another database.
fn at(url: &str, database: &str) -> String {
    let (address, parameters) = url.split_once('?').unwrap_or((url, ""));
    let authority = address.find("://").map_or(0, |scheme| scheme + 3);
    let end = address[authority..].find('/').map_or(address.len(), |slash| authority + slash);
    let separator = if parameters.is_empty() { "" } else { "?" };
    format!("{}/{database}{separator}{parameters}", &address[..end])
}

#[cfg(test)]
mod tests {
    use super::at;

    #[test]
    fn another_database_is_named_on_the_same_server() {
        for (url, expected) in [
            ("postgres://me@host:5/postgres", "postgres://me@host:5/x"),
            ("postgres://me@host", "postgres://me@host/x"),
            ("postgres://me:a@host/?user=you", "postgres://me:a@host/x?user=you"),
        ] {
            assert_eq!(at(url, "x"), expected);
        }
    }
}
