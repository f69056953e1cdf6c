//! Introspection (RFC 7662): a client learns of its own living tokens, and of nothing else.

use grantor::seal::{AccessSeal, RefreshSeal};
use grantor_protocol::environment::Environment;
use grantor_protocol::scope::Scope;
use serde_json::{Value, json};

use crate::calls::{
    Call, about_token, assert_opens, assert_unspent, introspect, issue, new_grant, public_tokens,
    revoke, row, tokens,
};
use crate::harness::{Answer, START, Server, TestClient};

const INTROSPECT: &str = "/oauth/introspect";

/// RFC 7662 2.2: the word alone.
#[track_caller]
fn assert_inactive(answer: &Answer) {
    assert_eq!((answer.status, &answer.body), (200, &json!({ "active": false })), "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "no-store");
}

async fn is_active(server: &Server, client: &TestClient, token: &str) -> bool {
    let answer = introspect(server, client, token).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["active"].as_bool().unwrap()
}

fn members(answer: &Answer) -> Vec<&str> {
    answer.body.as_object().unwrap().keys().map(String::as_str).collect()
}

async fn s17_an_access_token_is_described_to_its_client_with_sub_always_and_nobodys_name(
    server: Server,
) {
    let client = server.client().await;
    let customer = new_grant(&server.staging, &client).await.customer_id;
    let living = tokens(&server, &client).await;
    server.clock.advance(10);
    let answer = introspect(&server, &client, living.text("access_token")).await;
    let jti = answer.text("jti").to_owned();
    assert_eq!((jti.len(), jti.bytes().all(|b| b.is_ascii_hexdigit())), (16, true));
    let expected = json!({
        "active": true,
        "client_id": client.id,
        "sub": uuid::Uuid::from_bytes(customer).to_string(),
        "scope": "financial-api orders-api",
        "token_type": "bearer",
        "exp": START + 3600,
        "iat": START,
        "iss": server.staging.base_url,
        "jti": jti,
    });
    assert_eq!((answer.status, &answer.body), (200, &expected));
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["cache-control"], "no-store");

    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", living.text("refresh_token")),
        ("scope", "orders-api"),
    ];
    let narrow = server.token(&client, &form).await;
    let answer = introspect(&server, &client, narrow.text("access_token")).await;
    assert_eq!(answer.text("scope"), "orders-api");
    assert_ne!(answer.text("jti"), jti);
    // The one before lives until its own hour is over.
    assert!(is_active(&server, &client, living.text("access_token")).await);
}

async fn s17_a_refresh_token_is_active_at_the_current_generation_alone(server: Server) {
    let client = server.client().await;
    let first = tokens(&server, &client).await;
    let answer = introspect(&server, &client, first.text("refresh_token")).await;
    assert_eq!(answer.body["active"], true);
    assert_eq!(
        members(&answer),
        ["active", "client_id", "exp", "iat", "iss", "scope", "sub"],
        "{answer:?}"
    );
    let idle = server.staging.settings.refresh_token_idle_seconds;
    assert_eq!((&answer.body["iat"], &answer.body["exp"]), (&json!(START), &json!(START + idle)));
    let second = server.refresh(&client, first.text("refresh_token")).await;
    assert_inactive(&introspect(&server, &client, first.text("refresh_token")).await);
    assert!(is_active(&server, &client, second.text("refresh_token")).await);
    server.clock.advance(idle - 1);
    assert!(is_active(&server, &client, second.text("refresh_token")).await);
    server.clock.advance(1);
    assert_inactive(&introspect(&server, &client, second.text("refresh_token")).await);
}

async fn s17_nothing_is_said_of_what_is_no_living_token_of_the_client_that_asks(server: Server) {
    let (client, other) = (server.client().await, server.client().await);
    let there = server.client_with(Environment::Production, |_| ()).await;
    let living = tokens(&server, &client).await;
    let issued = issue(&server.staging, &client).await;
    let app = server.client_with(Environment::Staging, |client| client.secret = None).await;
    let of_app = public_tokens(&server, &app).await;
    let (access, refresh) = (living.text("access_token"), living.text("refresh_token"));
    let rows = server.rows();
    for token in [access, refresh] {
        assert_inactive(&introspect(&server, &other, token).await);
        let call = about_token(&server.production, INTROSPECT, &there, token);
        assert_inactive(&call.send().await);
    }
    let cut = &access[..access.len() - 1];
    let renamed = refresh.replace("gr_refresh_", "gr_access_");
    let of_app = of_app.text("access_token");
    for token in [issued.code.as_str(), of_app, cut, &renamed, "nonsense", "null", "gr_access_"] {
        assert_inactive(&introspect(&server, &client, token).await);
    }
    // A question changes nothing.
    assert_eq!(server.rows(), rows);
    assert!(is_active(&server, &client, access).await);
    assert!(is_active(&server, &client, refresh).await);
    assert_unspent(&server, &client, &issued).await;
    assert_inactive(&introspect(&server, &client, &issued.code).await);
}

async fn s17_a_client_that_cannot_prove_itself_may_not_ask(server: Server) {
    let app = server.client_with(Environment::Staging, |client| client.secret = None).await;
    let client = server.client().await;
    let of_app = public_tokens(&server, &app).await;
    let living = tokens(&server, &client).await;
    let ask = |form: &[(&str, &str)]| Call::at(&server.staging, INTROSPECT).form(form);
    let token = of_app.text("access_token");
    let answer = ask(&[("token", token), ("client_id", &app.id)]).send().await;
    answer.assert_error(401, "invalid_client", "This client has no secret, and only a client that");
    assert_eq!(answer.body["active"], Value::Null);
    assert!(answer.text("error_uri").ends_with("#secret-needed"), "{answer:?}");
    assert!(answer.headers["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    let token = living.text("access_token");
    let wrong =
        TestClient { id: client.id.clone(), secret: "wrong".into(), redirect_uri: String::new() };
    for (call, status, words) in [
        (ask(&[("token", token)]), 401, "The client did not say who it is"),
        (ask(&[("token", token), ("client_id", &client.id)]), 401, "has a secret and has to prove"),
        (ask(&[("token", token)]).basic(&wrong), 401, "The client secret is wrong"),
        (ask(&[]).basic(&client), 400, "The parameter token is missing"),
        (ask(&[]).basic(&client).query(&[("token", token)]), 400, "token stands in the URL"),
        (ask(&[("token", token)]).basic(&client).method("GET"), 405, "Send a POST."),
        (ask(&[("token", token)]).basic(&client).method("PUT"), 405, "Send a POST."),
    ] {
        let answer = call.send().await;
        let code = if status == 401 { "invalid_client" } else { "invalid_request" };
        answer.assert_error(status, code, words);
        assert_eq!(answer.body["active"], Value::Null, "{words}");
        assert_eq!(answer.headers.contains_key("allow"), status == 405, "{words}");
    }
}

async fn s17_a_token_ends_for_introspection_with_its_grant_its_client_its_customer_and_its_time(
    server: Server,
) {
    let client = server.client().await;
    let living = tokens(&server, &client).await;
    let revoked = tokens(&server, &client).await;
    assert_eq!(revoke(&server, &client, revoked.text("access_token")).await.status, 200);
    assert_inactive(&introspect(&server, &client, revoked.text("access_token")).await);
    assert!(is_active(&server, &client, revoked.text("refresh_token")).await);
    assert_eq!(revoke(&server, &client, revoked.text("refresh_token")).await.status, 200);
    assert_inactive(&introspect(&server, &client, revoked.text("refresh_token")).await);

    server.clock.advance(3599);
    assert!(is_active(&server, &client, living.text("access_token")).await);
    server.clock.advance(1);
    assert_inactive(&introspect(&server, &client, living.text("access_token")).await);

    for sql in [
        "UPDATE customers SET counter = counter + 1",
        "UPDATE consents SET counter = counter + 1",
        "UPDATE clients SET counter = counter + 1",
    ] {
        let living = tokens(&server, &client).await;
        assert!(is_active(&server, &client, living.text("access_token")).await);
        server.execute(sql);
        for member in ["access_token", "refresh_token"] {
            assert_inactive(&introspect(&server, &client, living.text(member)).await);
        }
    }
}

async fn s17_d10_a_seal_ahead_of_its_row_or_of_the_clock_is_inactive_and_ends_nothing(
    server: Server,
) {
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let living = server.exchange(&client, &issued.code).await;
    let before = row(&server, issued.grant_id).await;
    let now = server.clock.now();
    let access = |generation, issued_at, scope: &str| {
        server.staging.sealer.access(&AccessSeal {
            grant_id: issued.grant_id,
            generation,
            expires_at: issued_at + 3600,
            issued_at,
            token_id: [7; 8],
            scope: Scope::parse(scope).unwrap(),
            binding: grantor_protocol::grant::Binding::default(),
        })
    };
    let narrow = access(1, now, "orders-api something-else");
    let answer = introspect(&server, &client, &narrow).await;
    assert_eq!((answer.text("scope"), answer.text("jti")), ("orders-api", "0707070707070707"));
    assert!(is_active(&server, &client, &access(1, now + 60, "orders-api")).await);
    let refresh = RefreshSeal { grant_id: issued.grant_id, generation: 2, expires_at: now + 9 };
    for token in [
        access(2, now, "orders-api"),
        access(1, now + 61, "orders-api"),
        server.staging.sealer.refresh(&refresh, now),
    ] {
        assert_inactive(&introspect(&server, &client, &token).await);
    }
    assert_eq!(row(&server, issued.grant_id).await, before);
    assert_opens(&server, living.text("access_token"), true).await;
}

#[tokio::test]
async fn s17_a_fault_of_the_store_is_503_and_never_an_inactive_token() {
    let server = Server::start().await;
    let client = server.client().await;
    let living = tokens(&server, &client).await;
    for table in ["grants", "revoked_tokens", "consents", "clients"] {
        server.execute(&format!("ALTER TABLE {table} RENAME TO elsewhere"));
        for member in ["access_token", "refresh_token"] {
            let answer = introspect(&server, &client, living.text(member)).await;
            answer.assert_error(503, "temporarily_unavailable", "cannot answer just now");
            assert_eq!(answer.headers["retry-after"], "2");
            assert_eq!(answer.body["active"], Value::Null);
        }
        server.execute(&format!("ALTER TABLE elsewhere RENAME TO {table}"));
    }
    assert!(is_active(&server, &client, living.text("access_token")).await);
}

on_both_engines! {
    s17_an_access_token_is_described_to_its_client_with_sub_always_and_nobodys_name,
    s17_a_refresh_token_is_active_at_the_current_generation_alone,
    s17_nothing_is_said_of_what_is_no_living_token_of_the_client_that_asks,
    s17_a_client_that_cannot_prove_itself_may_not_ask,
    s17_a_token_ends_for_introspection_with_its_grant_its_client_its_customer_and_its_time,
    s17_d10_a_seal_ahead_of_its_row_or_of_the_clock_is_inactive_and_ends_nothing,
}
