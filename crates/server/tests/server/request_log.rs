//! The log of each client's calls: what is kept, of whom, how much of it, and what it shows.

use std::time::Duration;

use grantor::cleanup::trim_request_log;
use grantor::request_log::Weight;
use grantor::store::{LoggedCall, WhichClients};
use grantor_protocol::environment::Environment;
use grantor_protocol::integration_report::{Fact, LineState, Subject, integration_report};
use grantor_protocol::logged_call::{Endpoint, Outcome};

use crate::calls::{CHALLENGE, Call, VERIFIER, introspect, revoke, tokens};
use crate::harness::{Answer, Server, TestClient, basic, encode};

const HERE: Environment = Environment::Staging;

/// The calls of a client, the newest first, once all of them are written.
async fn logged(server: &Server, client_id: &str) -> Vec<LoggedCall> {
    for site in [&server.staging, &server.production] {
        site.request_log.flush(site.environment, &site.store).await;
    }
    // The server itself may be at it, once a second.
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.staging.store.logged_calls(HERE, client_id, None, 1000).await.unwrap()
}

async fn newest(server: &Server, client: &TestClient) -> LoggedCall {
    logged(server, &client.id).await.remove(0)
}

fn cause(call: &LoggedCall) -> &str {
    call.cause.as_ref().map_or("", |cause| cause.name.as_str())
}

fn request_id(answer: &Answer) -> &str {
    answer.headers["x-request-id"].to_str().unwrap()
}

async fn u7_a_refused_call_is_logged_with_what_its_caller_was_told(server: Server) {
    let client = server.client().await;
    let code = server.code(&client, "&state=xyzzy").await;
    server.clock.advance(61);
    let answer = server.exchange(&client, &code).await;
    answer.assert_error(400, "invalid_grant", "expired 1 second ago");
    let call = newest(&server, &client).await;
    assert_eq!(
        (call.endpoint, call.outcome, call.status),
        (Endpoint::Token, Outcome::Refused, 400)
    );
    assert_eq!(call.request_id, request_id(&answer));
    assert_eq!(call.grant_type.as_deref(), Some("authorization_code"));
    assert_eq!(call.network.as_deref(), Some("127.0.0.0/24"));
    assert!(call.proved);
    let why = call.cause.as_ref().unwrap();
    assert_eq!((why.name.as_str(), why.anchor.as_str()), ("code.expired", "code-expired"));
    assert_eq!(why.words, answer.text("error_description"));
    assert_eq!(call.parameters.value("redirect_uri"), Some(client.redirect_uri.as_str()));
    assert!(call.parameters.contains("code") && call.parameters.value("code").is_none());
    // The code before it, of a link that anybody may have opened.
    let calls = logged(&server, &client.id).await;
    let link = &calls[1];
    assert_eq!((link.endpoint, link.outcome), (Endpoint::Authorize, Outcome::Code));
    assert!(!link.proved);
    assert!(link.parameters.contains("state") && link.parameters.value("state").is_none());
}

async fn u6_a_link_with_another_redirect_uri_is_logged_as_one_that_anybody_may_have_opened(
    server: Server,
) {
    let client = server.client().await;
    let uri = format!("{}/'\"><script>\u{202e}", client.redirect_uri);
    let other = TestClient { redirect_uri: uri.clone(), ..server.client().await };
    let link = TestClient { id: client.id.clone(), ..other };
    let page = server.browser().get(&server.authorize_url(&link, "&state=1")).await;
    page.assert_page(400, "is not registered");
    let call = newest(&server, &client).await;
    assert_eq!((call.outcome, cause(&call)), (Outcome::Page, "redirect_uri.differs"));
    assert_eq!(call.parameters.value("redirect_uri"), Some(uri.as_str()));
    assert!(!call.proved);
    let facts = server.staging.store.client_facts(HERE, &client.id).await.unwrap();
    assert!(facts.seen(Fact::LinkDiffered).is_some(), "{facts:?}");
    assert!(facts.seen(Fact::RedirectUriDiffered).is_none(), "{facts:?}");
}

async fn u8_a_call_that_proves_nothing_is_logged_for_the_client_that_it_names(server: Server) {
    let client = server.client().await;
    let with_newline = basic(&client.id, &format!("{}\n", client.secret));
    for (header, expected) in [
        (with_newline.as_str(), "basic.newline_encoded"),
        (&basic(&client.id, "wrong-secret"), "client.wrong_secret"),
    ] {
        let call = Call::to(&server.staging).header("Authorization", header.as_bytes());
        let answer = call.form(&[("grant_type", "refresh_token"), ("refresh_token", "x")]).send();
        let answer = answer.await;
        let call = newest(&server, &client).await;
        assert_eq!(call.request_id, request_id(&answer));
        assert_eq!((cause(&call), call.proved), (expected, false));
        server.clock.advance(1);
    }
    // JSON, which says nothing of whose it is, and whose header does.
    let call = Call::to(&server.staging).basic(&client).body("application/json", b"{}");
    assert_eq!(call.send().await.status, 400);
    assert_eq!(cause(&newest(&server, &client).await), "request.json_body");
    // A client that is not known has no log, and makes no rows.
    let before = logged(&server, &client.id).await.len();
    for id in ["nobody", "'; DROP TABLE request_log; --", "\u{202e}client"] {
        Call::to(&server.staging).form(&[("client_id", id), ("grant_type", "x")]).send().await;
        assert!(logged(&server, id).await.is_empty());
    }
    assert_eq!(logged(&server, &client.id).await.len(), before);
}

async fn u4_a_client_of_staging_on_production_finds_that_in_its_own_log(server: Server) {
    let client = server.client().await;
    let form = [("grant_type", "refresh_token"), ("refresh_token", "x")];
    let call = Call::to(&server.production).basic(&client).form(&form).send().await;
    assert_eq!(call.status, 401);
    let call = newest(&server, &client).await;
    assert_eq!(call.called_in, Environment::Production);
    assert_eq!(cause(&call), "client.other_environment");
    assert!(
        server
            .production
            .store
            .logged_calls(Environment::Production, &client.id, None, 9)
            .await
            .unwrap()
            .is_empty()
    );
}

async fn each_endpoint_is_logged_and_a_page_goes_on_behind_the_one_before(server: Server) {
    let client = server.client().await;
    let tokens = tokens(&server, &client).await;
    server.clock.advance(1);
    assert_eq!(introspect(&server, &client, tokens.text("access_token")).await.status, 200);
    server.clock.advance(1);
    assert_eq!(revoke(&server, &client, tokens.text("access_token")).await.status, 200);
    for path in ["/oauth/par", "/oauth/device_authorization"] {
        server.clock.advance(1);
        assert_eq!(
            Call::at(&server.staging, path).basic(&client).form(&[]).send().await.status,
            400
        );
    }
    let calls = logged(&server, &client.id).await;
    let endpoints: Vec<Endpoint> = calls.iter().map(|call| call.endpoint).collect();
    assert_eq!(
        endpoints,
        [
            Endpoint::DeviceAuthorization,
            Endpoint::PushedRequest,
            Endpoint::Revoke,
            Endpoint::Introspect,
            Endpoint::Token
        ]
    );
    let store = &server.staging.store;
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let page = store.logged_calls(HERE, &client.id, cursor.as_ref(), 2).await.unwrap();
        let Some(last) = page.last() else { break };
        cursor = grantor::store::CallCursor::parse(&last.cursor().to_string());
        assert!(cursor.is_some());
        seen.extend(page);
    }
    assert_eq!(seen, calls);
    for hostile in ["", "-", "x-y", "9-'", "99999999999999999999-ab", "1-\0"] {
        assert!(grantor::store::CallCursor::parse(hostile).is_none(), "{hostile:?}");
    }
}

async fn a_request_id_finds_a_call_for_its_partner_and_for_a_manager_alone(server: Server) {
    let client = server.client().await;
    let answer = server.exchange(&client, "no-code").await;
    logged(&server, &client.id).await;
    let store = &server.staging.store;
    let record = store.client(&client.id).await.unwrap().unwrap();
    let id = request_id(&answer);
    for (of, there) in [
        (WhichClients::OfPartner(record.partner_id), true),
        (WhichClients::All, true),
        (WhichClients::OfPartner([9; 16]), false),
    ] {
        let found = store.logged_call(HERE, id, of).await.unwrap();
        assert_eq!(found.iter().any(|(held, _)| *held == client.id), there, "{of:?}");
    }
    for other in ["", "%", "\0", "0000000000000000"] {
        assert!(store.logged_call(HERE, other, WhichClients::All).await.unwrap().is_empty());
    }
}

async fn what_is_too_much_is_dropped_and_counted_and_strangers_push_nothing_out(server: Server) {
    let client = server.client().await;
    let log = &server.staging.request_log;
    let now = server.clock.now();
    logged(&server, &client.id).await;
    let kept = |weight: Weight| (0..30).filter(|_| log.admit(&client.id, weight, now)).count();
    // The server flushes by itself once a second, and then a client has all of it anew.
    for weight in [Weight::Unproved, Weight::Failure, Weight::Success] {
        let kept = u32::try_from(kept(weight)).unwrap();
        assert!(kept >= weight.most() && kept < 30, "{kept} {weight:?}");
    }
    logged(&server, &client.id).await;
    let facts = server.staging.store.client_facts(HERE, &client.id).await.unwrap();
    let dropped = facts.seen(Fact::NotKept).unwrap();
    assert!(dropped.count >= 25 && dropped.last_at == now, "{dropped:?}");
    // Many clients that nobody knows fill their share of it, and no more.
    for at in 0..5_000 {
        log.admit(&format!("nobody-{at}"), Weight::Unproved, now);
    }
    assert!(log.admit(&client.id, Weight::Success, now));
}

async fn the_log_is_kept_small_by_number_and_by_age(server: Server) {
    let client = server.client().await;
    server.exchange(&client, "no-code").await;
    let store = &server.staging.store;
    let call = newest(&server, &client).await;
    let made = |at: i64, proved: bool| {
        let call = LoggedCall {
            called_at_millis: call.called_at_millis + 1 + at,
            request_id: format!("{at:016x}"),
            proved,
            ..call.clone()
        };
        let client_id = client.id.clone();
        grantor::store::NewLoggedCall { client_id, call, token: None, facts: vec![] }
    };
    let own: Vec<_> = (0..520).map(|at| made(at, true)).collect();
    let others: Vec<_> = (1000..1250).map(|at| made(at, false)).collect();
    for calls in [own, others] {
        store.log_calls(HERE, &calls, &[]).await.unwrap();
    }
    trim_request_log(&server.staging, 7, Duration::ZERO).await.unwrap();
    let left = logged(&server, &client.id).await;
    let proved = left.iter().filter(|call| call.proved).count();
    assert_eq!((proved, left.len() - proved), (500, 100));
    // The newest stay.
    assert_eq!(left[0].request_id, format!("{:016x}", 1249));
    server.clock.advance(30 * 24 * 3600 + 2);
    trim_request_log(&server.staging, 50, Duration::ZERO).await.unwrap();
    assert!(logged(&server, &client.id).await.is_empty());
}

async fn s28_no_secret_stands_in_the_log_wherever_it_was_sent(server: Server) {
    let client = server.client().await;
    let code = server.code(&client, &format!(
        "&state=CanaryState&nonce=CanaryNonce&code_challenge={CHALLENGE}&code_challenge_method=S256"
    )).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", client.redirect_uri.as_str()),
        ("code_verifier", VERIFIER),
        ("CanaryName", "CanaryValue"),
    ];
    let issued = server.token(&client, &form).await;
    assert_eq!(issued.status, 200, "{issued:?}");
    let refresh_token = issued.text("refresh_token").to_owned();
    server.refresh(&client, &refresh_token).await;
    // In the wrong places.
    let secret = client.secret.as_str();
    for form in [
        vec![("grant_type", secret), ("scope", secret), ("client_id", secret)],
        vec![("grant_type", "refresh_token"), ("refresh_token", &refresh_token), ("scope", secret)],
        vec![("grant_type", "refresh_token"), ("refresh_token", secret), ("scope", &refresh_token)],
        vec![("redirect_uri", &code), ("resource", secret), ("grant_type", "authorization_code")],
        vec![(secret, "1"), (secret, "2"), ("grant_type", "refresh_token")],
    ] {
        server.token(&client, &form).await;
        let call = Call::to(&server.staging).basic(&client).query(&form);
        call.send().await;
    }
    let mut calls = logged(&server, &client.id).await;
    assert!(calls.len() >= 10, "{}", calls.len());
    let written = format!("{calls:?}");
    for canary in [
        "CanaryState",
        "CanaryNonce",
        "CanaryName",
        "CanaryValue",
        VERIFIER,
        &code,
        secret,
        &refresh_token,
        issued.text("access_token"),
        &encode(secret),
    ] {
        assert!(!written.contains(canary), "a canary stands in the log: {written}");
    }
    // As the database has it too, and with what is shown to nobody.
    calls.clear();
    for column in ["parameters", "words", "COALESCE(grant_type, '')"] {
        for canary in ["Canary", VERIFIER, secret, "gr_refresh", "gr_access", "gr_code"] {
            let found = server.number(&format!(
                "SELECT COUNT(*) FROM request_log WHERE {column} LIKE '%{canary}%'"
            ));
            assert_eq!(found, 0, "{column}");
        }
    }
}

async fn a_whole_integration_makes_every_line_of_the_report_green_that_it_shows(server: Server) {
    let client = server.client().await;
    let more = format!("&state=1&code_challenge={CHALLENGE}&code_challenge_method=S256");
    let code = server.code(&client, &more).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", client.redirect_uri.as_str()),
        ("code_verifier", VERIFIER),
    ];
    let mut answer = server.token(&client, &form).await;
    for _ in 0..2 {
        server.clock.advance(1);
        answer = server.refresh(&client, answer.text("refresh_token")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    logged(&server, &client.id).await;
    let store = &server.staging.store;
    let facts = store.client_facts(HERE, &client.id).await.unwrap();
    let green: Vec<Subject> = integration_report(&facts, server.clock.now())
        .into_iter()
        .filter(|line| matches!(line.state, LineState::Green { .. }))
        .map(|line| line.subject)
        .collect();
    assert_eq!(
        green,
        [
            Subject::State,
            Subject::Pkce,
            Subject::RedirectUri,
            Subject::CodeLife,
            Subject::ParametersInBody,
            Subject::NewestToken,
            Subject::NoReuse
        ]
    );
}

on_both_engines! {
    u7_a_refused_call_is_logged_with_what_its_caller_was_told,
    u6_a_link_with_another_redirect_uri_is_logged_as_one_that_anybody_may_have_opened,
    u8_a_call_that_proves_nothing_is_logged_for_the_client_that_it_names,
    u4_a_client_of_staging_on_production_finds_that_in_its_own_log,
    each_endpoint_is_logged_and_a_page_goes_on_behind_the_one_before,
    a_request_id_finds_a_call_for_its_partner_and_for_a_manager_alone,
    what_is_too_much_is_dropped_and_counted_and_strangers_push_nothing_out,
    the_log_is_kept_small_by_number_and_by_age,
    s28_no_secret_stands_in_the_log_wherever_it_was_sent,
    a_whole_integration_makes_every_line_of_the_report_green_that_it_shows,
}

/// The statements of the store, about one client and one call.
const LOOKUPS: [&str; 2] = [
    "SELECT words FROM request_log WHERE environment = 'staging' AND client_key = 7 \
     AND (called_at, request_id) < (900000, '0') ORDER BY called_at DESC, request_id DESC LIMIT 50",
    "SELECT c.id FROM request_log r \
     JOIN clients c ON c.environment = r.environment AND c.key = r.client_key \
     WHERE r.environment = 'staging' AND r.request_id = 'id-500'",
];
const COLUMNS: &str = "INSERT INTO request_log (environment, client_key, called_at, request_id, \
     called_in, endpoint, outcome, status, proved, parameters, microseconds) \
     SELECT 'staging', n % 100, n, 'id-' || n, 'staging', '/oauth/token', 'issued', 200, TRUE, '', 1";

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_newest_of_a_client_and_a_request_id_are_lookups_among_many_rows() {
    let server = Server::start().await;
    let database = server.database();
    let rows = format!(
        "WITH RECURSIVE many(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM many WHERE n < 50000) \
         {COLUMNS} FROM many"
    );
    // SQLite takes the WITH behind the INSERT too, and this way round as well.
    let (with, insert) = rows.split_once(" INSERT").unwrap();
    let insert =
        format!("INSERT{insert}").replace("SELECT 'staging'", &format!("{with} SELECT 'staging'"));
    database.execute_batch(&insert).unwrap();
    for lookup in LOOKUPS {
        let mut explained = database.prepare(&format!("EXPLAIN QUERY PLAN {lookup}")).unwrap();
        let plan: Vec<String> =
            explained.query_map([], |row| row.get(3)).unwrap().map(Result::unwrap).collect();
        assert!(plan.iter().all(|step| step.contains("SEARCH")), "{plan:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_newest_of_a_client_and_a_request_id_are_lookups_among_many_rows_of_postgres() {
    let database = grantor_test_cluster::Cluster::shared_database().unwrap();
    let _server = Server::start_on(&database.url()).await;
    let rows = format!("{COLUMNS} FROM generate_series(1, 50000) AS many(n)");
    database.execute(&rows).unwrap();
    database.execute("ANALYZE request_log").unwrap();
    for lookup in LOOKUPS {
        let plan = format!("{:?}", database.execute(&format!("EXPLAIN {lookup}")).unwrap());
        assert!(plan.contains("Index") && !plan.contains("Seq Scan on request_log"), "{plan}");
    }
}
