//! `/guard/check`, as proxies ask it. The proxies themselves are run in tests/proxies.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::seal::AccessSeal;
use grantor::site::Settings;
use grantor_protocol::api::{AccessTokenFormat, Api, Apis};
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::Binding;
use grantor_protocol::resource::Resources;
use grantor_protocol::scope::Scope;
use serde_json::{Value, json};

use crate::calls::{BISTRO, GRILL, Issued, issue_with, revoke, tokens};
use crate::dpop::Key;
use crate::harness::{Answer, START, Server, TestClient};

const ORDERS: &str = "https://orders.example.com/v1";
const FINANCE: &str = "https://finance.example.com";
const CHECK: &str = "/guard/check?resource=https://orders.example.com/v1";

fn settings() -> Settings {
    let api = |resource: &str, scopes: &str, access_tokens| Api {
        resource: resource.into(),
        name: format!("The API at {resource}"),
        scopes: Scope::parse(scopes).unwrap(),
        access_tokens,
        introspection_clients: Vec::new(),
    };
    let apis = Apis::new(vec![
        api(ORDERS, "orders-api items", AccessTokenFormat::Sealed),
        api(FINANCE, "financial-api", AccessTokenFormat::Es256),
    ]);
    Settings { apis, ..Settings::default() }
}

async fn start() -> Server {
    Server::start_with(settings(), false).await
}

async fn ask(server: &Server, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = reqwest::Client::new().get(server.url(path));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::read(request.send().await.unwrap()).await
}

async fn with_token(server: &Server, path: &str, token: &str) -> Answer {
    ask(server, path, &[("Authorization", &format!("Bearer {token}"))]).await
}

/// A connection, and an access token of it that is for these APIs alone.
async fn token_for(server: &Server, client: &TestClient, named: &[&str], scope: &str) -> String {
    let issued = issue_with(&server.staging, client, |_| ()).await;
    assert_eq!(server.exchange(client, &issued.code).await.status, 200);
    seal(server, &issued, (named, scope), None)
}

fn seal(
    server: &Server,
    issued: &Issued,
    (named, scope): (&[&str], &str),
    key: Option<[u8; 32]>,
) -> String {
    let now = server.clock.now();
    server.staging.sealer.access(&AccessSeal {
        grant_id: issued.grant_id,
        generation: 1,
        expires_at: now + 3600,
        issued_at: now,
        token_id: server.staging.random.bytes(),
        scope: Scope::parse(scope).unwrap(),
        binding: Binding { resources: Resources::parse(named.iter().copied()).unwrap(), key },
    })
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers[name].to_str().unwrap()
}

async fn a_token_of_the_api_passes_and_its_facts_stand_in_headers(server: Server) {
    let client = server.client().await;
    let token = token_for(&server, &client, &[], "orders-api financial-api").await;
    let answer = with_token(&server, CHECK, &token).await;
    assert_eq!((answer.status, &answer.body), (200, &json!("")), "{answer:?}");
    assert_eq!(header(&answer, "x-auth-client-id"), client.id);
    assert_eq!(
        uuid::Uuid::parse_str(header(&answer, "x-auth-subject")).unwrap().get_version_num(),
        7
    );
    // The API sees of the scopes those that it knows.
    assert_eq!(header(&answer, "x-auth-scope"), "orders-api");
    assert_eq!(header(&answer, "x-auth-businesses"), format!("{BISTRO} {GRILL}"));
    let locations = "9765040300495501 9765040300495502 9765040300495503";
    assert_eq!(header(&answer, "x-auth-locations"), locations);
    assert_eq!(header(&answer, "x-auth-expires"), (START + 3600).to_string());
    assert_eq!(header(&answer, "cache-control"), "no-store");
    // What the customer has no more is nobody's.
    server.execute(&format!("DELETE FROM memberships WHERE business_id = {GRILL}"));
    let answer = with_token(&server, CHECK, &token).await;
    assert_eq!(header(&answer, "x-auth-businesses"), BISTRO.to_string());
    assert_eq!(header(&answer, "x-auth-locations"), "9765040300495501 9765040300495502");
}

async fn u10_a_token_whose_connection_ended_passes_no_more(server: Server) {
    let client = server.client().await;
    let living = tokens(&server, &client).await;
    let token = living.text("access_token");
    assert_eq!(with_token(&server, CHECK, token).await.status, 200);
    assert_eq!(revoke(&server, &client, living.text("refresh_token")).await.status, 200);
    let answer = with_token(&server, CHECK, token).await;
    assert_eq!(answer.status, 401);
    assert!(header(&answer, "www-authenticate").contains("error=\"invalid_token\""));
    assert!(!answer.headers.contains_key("x-auth-subject"), "{answer:?}");
}

#[tokio::test]
async fn s17_a_token_for_another_api_is_refused_without_a_word_of_what_it_opens() {
    let server = start().await;
    let client = server.client().await;
    let of = async |named: &[&str], scope| token_for(&server, &client, named, scope).await;
    for (token, passes) in [
        (of(&[ORDERS], "orders-api").await, true),
        (of(&[ORDERS, FINANCE], "orders-api financial-api").await, true),
        (of(&[FINANCE], "financial-api").await, false),
        (of(&[FINANCE], "orders-api").await, false),
        // It names none, and has no scope that the API knows.
        (of(&[], "financial-api").await, false),
    ] {
        let answer = with_token(&server, CHECK, &token).await;
        assert_eq!(answer.status == 200, passes, "{answer:?}");
        let told = answer.headers.keys().filter(|name| name.as_str().starts_with("x-auth-"));
        assert_eq!(told.count() == 6, passes, "{answer:?}");
        if !passes {
            let challenge = header(&answer, "www-authenticate");
            assert!(challenge.contains("invalid_token"), "{challenge}");
            assert!(!answer.body.to_string().contains("financial"), "{answer:?}");
        }
    }
}

#[tokio::test]
async fn who_sends_no_token_is_told_where_the_api_says_who_gives_them() {
    let server = start().await;
    for headers in [vec![], vec![("Authorization", "Basic YTpi")]] {
        let answer = ask(&server, CHECK, &headers).await;
        assert_eq!(answer.status, 401, "{answer:?}");
        let found_at = server.url("/.well-known/oauth-protected-resource/orders.example.com/v1");
        let expected = format!("Bearer realm=\"{ORDERS}\", resource_metadata=\"{found_at}\"");
        assert_eq!(header(&answer, "www-authenticate"), expected);
        assert_eq!(
            Answer::read(reqwest::get(&found_at).await.unwrap()).await.text("resource"),
            ORDERS
        );
    }
}

#[tokio::test]
async fn what_the_proxy_demands_is_held_against_the_token() {
    let server = start().await;
    let client = server.client().await;
    let token = token_for(&server, &client, &[ORDERS], "orders-api").await;
    for (demand, status, words) in [
        ("&scope=orders-api", 200, ""),
        ("&scope=orders-api+items", 403, "scope=\"items orders-api\""),
        ("&scope=financial-api", 403, "scope=\"financial-api\""),
        ("&business=9765040300495494&scope=orders-api", 200, ""),
        ("&business=9765040300495495", 403, "not for this business"),
        ("&location=9765040300495503", 200, ""),
        ("&location=9765040300495504", 403, "not for this location"),
    ] {
        let answer = with_token(&server, &format!("{CHECK}{demand}"), &token).await;
        assert_eq!(answer.status, status, "{demand}");
        if status != 200 {
            let challenge = header(&answer, "www-authenticate");
            assert!(challenge.contains("insufficient_scope"), "{challenge}");
            assert!(challenge.contains(words), "{challenge}");
        }
    }
}

/// A proxy whose configuration has a slip must let nobody in.
#[tokio::test]
async fn s5_a_demand_that_is_not_understood_lets_nobody_in() {
    let server = start().await;
    let client = server.client().await;
    let token = token_for(&server, &client, &[ORDERS], "orders-api").await;
    for path in [
        "/guard/check".to_owned(),
        "/guard/check?resource=".to_owned(),
        "/guard/check?resource=https://unknown.example.com".to_owned(),
        "/guard/check?api=https://orders.example.com/v1".to_owned(),
        format!("{CHECK}&resource={FINANCE}"),
        format!("{CHECK}&scope=orders-api&scope=orders-api"),
        format!("{CHECK}&scopes=items"),
        format!("{CHECK}&scope="),
        format!("{CHECK}&business="),
        format!("{CHECK}&scope[]=orders-api"),
        format!("{CHECK}&scope=%ff"),
        format!("{CHECK}&scope=a%22b"),
        "/guard/check/https%3A%2F%2Forders.example.com%2Fv1//x".to_owned(),
        "/guard/check/https%3A%2F%2Forders.example.com%2Fv1/a%22b/x".to_owned(),
        "/guard/check/https%3A%2F%2Forders.example.com%2Fv1".to_owned(),
        "/guard/check/https%3A%2F%2Forders.example.com%2Fv1/orders-api".to_owned(),
        "/guard/check/https%3A%2F%2Fevil.example/orders-api/x".to_owned(),
        "/guard/check/%ff/orders-api/x".to_owned(),
    ] {
        let answer = with_token(&server, &path, &token).await;
        assert_eq!(answer.status, 400, "{path}");
        assert!(!answer.headers.contains_key("x-auth-subject"), "{path}");
    }
    // A header says nothing of what is needed: it may be the caller's own.
    let path = format!("{CHECK}&scope=items");
    let bearer = format!("Bearer {token}");
    let headers = [("Authorization", bearer.as_str()), ("X-Guard-Scope", "orders-api")];
    assert_eq!(ask(&server, &path, &headers).await.status, 403);
}

#[tokio::test]
async fn a_demand_may_stand_in_the_path_before_the_callers_own_as_envoy_asks() {
    let server = start().await;
    let client = server.client().await;
    let token = token_for(&server, &client, &[ORDERS], "orders-api").await;
    for (behind, status) in [
        ("orders-api/", 200),
        ("orders-api/v1/orders?page=1&scope=x&scope=y", 200),
        ("-/v1/orders", 200),
        ("orders-api%20items/v1/orders", 403),
        ("items/orders-api/v1/orders", 403),
        ("-/v1/orders..csv", 200),
    ] {
        let path = format!("/guard/check/https%3A%2F%2Forders.example.com%2Fv1/{behind}");
        assert_eq!(with_token(&server, &path, &token).await.status, status, "{behind}");
        assert_eq!(ask(&server, &path, &[]).await.status, 401, "{behind}");
    }
    // A path that the API would resolve to another one was not asked about.
    for behind in ["-/..%2F..%2Forders", "-/v1%2F..%2Forders"] {
        let path = format!("/guard/check/https%3A%2F%2Forders.example.com%2Fv1/{behind}");
        assert_eq!(with_token(&server, &path, &token).await.status, 400, "{behind}");
    }
    let post = reqwest::Client::new()
        .post(server.url("/guard/check/https%3A%2F%2Forders.example.com%2Fv1/items/v1/orders"))
        .bearer_auth(&token);
    assert_eq!(post.send().await.unwrap().status(), 403);
}

/// A token that is bound to `key`, and what a proof of a call with it claims.
async fn bound(server: &Server, key: &Key) -> (String, Value) {
    let client = server.client().await;
    let issued = issue_with(&server.staging, &client, |_| ()).await;
    assert_eq!(server.exchange(&client, &issued.code).await.status, 200);
    let thumbprint: [u8; 32] = URL_SAFE_NO_PAD.decode(key.jkt()).unwrap().try_into().unwrap();
    let token = seal(server, &issued, (&[ORDERS], "orders-api"), Some(thumbprint));
    let mut claims = key.proof(server, "POST", "").claims;
    claims["htu"] = json!("https://orders.example.com/v1/orders");
    claims["ath"] = json!(URL_SAFE_NO_PAD.encode(digest(&SHA256, token.as_bytes())));
    (token, claims)
}

fn proof(server: &Server, key: &Key, claims: &Value) -> String {
    let mut proof = key.proof(server, "POST", "");
    let jti = proof.claims["jti"].clone();
    proof.claims = claims.clone();
    proof.claims["jti"] = jti;
    key.sign(&proof)
}

#[tokio::test]
async fn a_bound_token_passes_with_a_proof_for_the_callers_call_which_works_once() {
    let server = start().await;
    let key = Key::new();
    let (token, claims) = bound(&server, &key).await;
    let bearer = with_token(&server, CHECK, &token).await;
    assert_eq!(bearer.status, 401);
    assert!(header(&bearer, "www-authenticate").contains("DPoP algs="), "{bearer:?}");
    let authorization = format!("DPoP {token}");
    let call = async |proof: &str, more: &[(&str, &str)]| {
        let mut headers = vec![("Authorization", authorization.as_str()), ("DPoP", proof)];
        headers.extend(more);
        ask(&server, CHECK, &headers).await
    };
    let nginx = [("X-Original-Method", "POST"), ("X-Original-URI", "/v1/orders?page=1")];
    let traefik = [("X-Forwarded-Method", "POST"), ("X-Forwarded-Uri", "/v1/orders")];
    for way in [nginx, traefik] {
        let good = proof(&server, &key, &claims);
        assert_eq!(call(&good, &way).await.status, 200, "{way:?}");
        let replayed = call(&good, &way).await;
        assert_eq!(replayed.status, 401, "{way:?}");
        assert!(header(&replayed, "www-authenticate").contains("invalid_dpop_proof"));
    }
    let elsewhere = [("X-Original-Method", "POST"), ("X-Original-URI", "/v1/refunds")];
    let absolute = [("X-Original-Method", "POST"), ("X-Original-URI", "https://a/v1/orders")];
    let twice = [nginx[0], nginx[1], ("X-Original-URI", "/v1/orders?page=1")];
    let both = [elsewhere[0], elsewhere[1], traefik[0], traefik[1]];
    let half = [nginx[0], nginx[1], traefik[1]];
    for way in [&[] as &[_], &elsewhere, &absolute, &twice, &both, &half, &nginx[..1], &nginx[1..]]
    {
        let good = proof(&server, &key, &claims);
        assert_eq!(call(&good, way).await.status, 401, "{way:?}");
        assert_eq!(call(&good, &nginx).await.status, 200, "not used up by {way:?}");
    }
    // Envoy asks with the caller's own method and path, and no header says otherwise.
    let path = "/guard/check/https%3A%2F%2Forders.example.com%2Fv1/orders-api/v1/orders?page=1";
    for (method, status) in [("POST", 200), ("GET", 401)] {
        let request = reqwest::Client::new()
            .request(method.parse().unwrap(), server.url(path))
            .header("Authorization", &authorization)
            .header("DPoP", proof(&server, &key, &claims))
            .header("X-Original-Method", "POST");
        assert_eq!(request.send().await.unwrap().status(), status, "{method}");
    }
}

#[tokio::test]
async fn a_signed_token_and_a_clients_own_pass_as_others_do() {
    let server = start().await;
    let client = server
        .client_with(Environment::Staging, |client| client.settings.client_credentials = true)
        .await;
    let form = [("grant_type", "client_credentials"), ("resource", FINANCE)];
    let signed = server.token(&client, &form).await;
    assert!(signed.text("access_token").starts_with("ey"), "{signed:?}");
    let check = format!("/guard/check?resource={FINANCE}&scope=financial-api");
    let answer = with_token(&server, &check, signed.text("access_token")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(header(&answer, "x-auth-subject"), client.id);
    // There is no customer, and so no business.
    assert_eq!(header(&answer, "x-auth-businesses"), "");
    let of_business = format!("{check}&business={BISTRO}");
    assert_eq!(with_token(&server, &of_business, signed.text("access_token")).await.status, 403);
    assert_eq!(with_token(&server, CHECK, signed.text("access_token")).await.status, 401);
}

#[tokio::test]
async fn s17_a_fault_of_the_store_is_503_and_never_a_yes_or_a_no() {
    let server = start().await;
    let client = server.client().await;
    let token = token_for(&server, &client, &[ORDERS], "orders-api").await;
    for table in ["grants", "memberships"] {
        server.execute(&format!("ALTER TABLE {table} RENAME TO elsewhere"));
        let answer = with_token(&server, CHECK, &token).await;
        assert_eq!((answer.status, header(&answer, "retry-after")), (503, "2"), "{table}");
        assert!(!answer.headers.contains_key("www-authenticate"), "{table}");
        server.execute(&format!("ALTER TABLE elsewhere RENAME TO {table}"));
    }
    assert_eq!(with_token(&server, CHECK, &token).await.status, 200);
}

mod sqlite {
    #[tokio::test]
    async fn a_token_of_the_api_passes_and_its_facts_stand_in_headers() {
        super::a_token_of_the_api_passes_and_its_facts_stand_in_headers(super::start().await).await;
    }

    #[tokio::test]
    async fn u10_a_token_whose_connection_ended_passes_no_more() {
        super::u10_a_token_whose_connection_ended_passes_no_more(super::start().await).await;
    }
}
