//! TLS to the database: whoever is not who the certificate says gets no connection.

use std::path::Path;

use grantor::clock::Clock;
use grantor::store::{Address, Store, StoreError};
use grantor_test_cluster::Cluster;

use crate::harness::START;

/// A certificate for `localhost` that signed itself, and its key.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

/// Writes into the cluster's folder as the user that the server runs as: it takes no key that
/// others can read.
fn write(cluster: &Cluster, name: &str, text: &str) {
    let sql = format!(
        "COPY (SELECT unnest(string_to_array('{}', E'\\n'))) \
         TO PROGRAM 'umask 077; cat > {name}'",
        text.trim_end()
    );
    cluster.execute("postgres", &sql).unwrap();
}

fn address(cluster: &Cluster, host: &str, mode: &str, authorities: &Path) -> Address {
    let url = cluster.create_database(&format!("{mode}{host}").replace('.', "_")).unwrap();
    let url = format!("{}?sslmode={mode}", url.replacen("127.0.0.1", host, 1));
    Address::parse(&url, Path::new("")).unwrap().with_authorities(Some(authorities.to_owned()))
}

fn unreachable(opened: Result<Store, StoreError>) -> String {
    match opened {
        Err(StoreError::Unreachable(why)) => why,
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("it was believed"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_is_reached_over_tls_where_its_certificate_is_believed_and_not_otherwise() {
    let clock = Clock::manual(START);
    let folder = tempfile::tempdir().unwrap();
    let pem = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let cluster = Cluster::start().unwrap();
    let (own, key) = certificate();
    let own = pem("own.pem", &own);
    let other = pem("other.pem", &certificate().0);

    // A server that speaks no TLS is not spoken to in plain words.
    let why =
        unreachable(Store::open(&address(&cluster, "localhost", "require", &own), &clock).await);
    assert!(why.contains("TLS"), "{why}");

    write(&cluster, "server.crt", &std::fs::read_to_string(&own).unwrap());
    write(&cluster, "server.key", &key);
    cluster.execute("postgres", "ALTER SYSTEM SET ssl = on").unwrap();
    cluster.execute("postgres", "SELECT pg_reload_conf()").unwrap();

    let url = format!("{}?sslmode=require", cluster.url("requirelocalhost"));
    let url = url.replacen("127.0.0.1", "localhost", 1);
    let to = |authorities: &Path| {
        let address = Address::parse(&url, Path::new("")).unwrap();
        address.with_authorities(Some(authorities.to_owned()))
    };
    let store = Store::open(&to(&own), &clock).await.unwrap();
    store.partners().await.unwrap();
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE ssl AND application_name = 'grantor'";
    let found = cluster.execute("postgres", encrypted).unwrap();
    assert_ne!(found, [Some("0".to_owned())]);

    // Signed by nobody whom we believe; and of another name.
    let why = unreachable(Store::open(&to(&other), &clock).await);
    assert!(why.to_lowercase().contains("certificate"), "{why}");
    let named = address(&cluster, "127.0.0.1", "require", &own);
    let why = unreachable(Store::open(&named, &clock).await);
    assert!(why.contains("not valid for name") || why.contains("NotValidForName"), "{why}");
}
