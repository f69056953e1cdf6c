//! What is counted of clients outside the hot path, on its way into the store.

use grantor_protocol::client::{ClientSecret, SecretDigest};
use grantor_protocol::environment::Environment;

use crate::harness::{START, Server, TestClient};
use crate::secrets::{add_secret, remove_secret};

const HERE: Environment = Environment::Staging;

fn digest(secret: &str) -> SecretDigest {
    ClientSecret::new(secret.to_owned()).digest()
}

async fn used_at(server: &Server, client: &TestClient) -> Vec<(i64, Option<i64>)> {
    let record = server.staging.store.client(&client.id).await.unwrap().unwrap();
    record.secrets.iter().map(|secret| (secret.slot, secret.used_at)).collect()
}

#[tokio::test]
async fn u5_a_secret_that_replaced_another_inherits_no_use_of_it() {
    let server = Server::start().await;
    let client = server.client().await;
    let (site, store) = (&server.staging, &server.staging.store);
    let (second, third) = (digest("second"), digest("third"));
    assert_eq!(add_secret(store, &client.id, &(second, "2".into())).await, Some(2));
    site.usage.note_secret(HERE, &client.id, (1, digest(&client.secret)), START + 1);
    site.usage.note_secret(HERE, &client.id, (2, second), START + 1);
    // Before that is written, another secret takes the place, in the same second.
    assert!(remove_secret(store, &client.id, 2).await);
    assert_eq!(add_secret(store, &client.id, &(third, "3".into())).await, Some(2));
    site.usage.flush(store).await;
    assert_eq!(used_at(&server, &client).await, [(1, Some(START + 1)), (2, None)]);
    site.usage.note_secret(HERE, &client.id, (2, third), START + 2);
    site.usage.flush(store).await;
    assert_eq!(used_at(&server, &client).await, [(1, Some(START + 1)), (2, Some(START + 2))]);
}

#[tokio::test]
async fn all_clients_are_written_however_many_there_are() {
    let server = Server::start().await;
    let (site, store) = (&server.staging, &server.staging.store);
    let mut clients = Vec::new();
    for _ in 0..450 {
        let client = server.client().await;
        site.usage.note_secret(HERE, &client.id, (1, digest(&client.secret)), START + 5);
        site.usage.count_query_call(HERE, &client.id, START + 6);
        clients.push(client);
    }
    site.usage.flush(store).await;
    for client in clients {
        let record = store.client(&client.id).await.unwrap().unwrap();
        assert_eq!(record.secrets[0].used_at, Some(START + 5));
        assert_eq!((record.query_calls, record.query_called_at), (1, Some(START + 6)));
    }
}

#[tokio::test]
async fn what_cannot_be_written_waits_and_what_came_since_stands() {
    let server = Server::start().await;
    let client = server.client().await;
    let (site, store) = (&server.staging, &server.staging.store);
    let secret = digest(&client.secret);
    site.usage.note_secret(HERE, &client.id, (1, secret), START + 1);
    site.usage.count_query_call(HERE, &client.id, START + 1);
    server.execute(
        "CREATE TRIGGER full BEFORE UPDATE ON clients BEGIN SELECT RAISE(ABORT, 'full'); END",
    );
    site.usage.flush(store).await;
    assert_eq!(used_at(&server, &client).await, [(1, None)]);
    site.usage.note_secret(HERE, &client.id, (1, secret), START + 2);
    site.usage.count_query_call(HERE, &client.id, START + 2);
    site.usage.flush(store).await;
    server.execute("DROP TRIGGER full");
    site.usage.flush(store).await;
    assert_eq!(used_at(&server, &client).await, [(1, Some(START + 2))]);
    let record = store.client(&client.id).await.unwrap().unwrap();
    assert_eq!((record.query_calls, record.query_called_at), (2, Some(START + 2)));
    // Nothing is written twice.
    site.usage.flush(store).await;
    assert_eq!(store.client(&client.id).await.unwrap().unwrap().query_calls, 2);
}
