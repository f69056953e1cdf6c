//! APIs, the tokens that are for them (RFC 8707), sealed or signed (RFC 9068), and who may ask about
//! those.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::demo;
use grantor::site::Settings;
use grantor_protocol::api::{AccessTokenFormat, Api, Apis};
use grantor_protocol::environment::Environment;
use grantor_protocol::jose::{Algorithm, Demand, JwkSet, TypeDemand, UnverifiedJws};
use grantor_protocol::scope::Scope;
use serde_json::{Value, json};

use crate::calls::{BISTRO, Call, GRILL, introspect, revoke};
use crate::harness::{Answer, START, Server, TestClient, encode, query};

const ORDERS: &str = "https://orders.example.com";
const FINANCE: &str = "https://finance.example.com/v1";
const STAFF: &str = "https://staff.example.com";

fn apis() -> Apis {
    let api = |resource: &str, scopes: &str, access_tokens| Api {
        resource: resource.into(),
        name: format!("The API at {resource}"),
        scopes: Scope::parse(scopes).unwrap(),
        access_tokens,
        introspection_clients: vec![format!("checks-{}", scopes.split('-').next().unwrap())],
    };
    Apis::new(vec![
        api(ORDERS, "orders-api", AccessTokenFormat::Sealed),
        api(FINANCE, "financial-api", AccessTokenFormat::Es256),
        api(STAFF, "staff-api", AccessTokenFormat::EdDsa),
    ])
}

async fn start() -> Server {
    Server::start_with(Settings { apis: apis(), ..Settings::default() }, true).await
}

async fn client(server: &Server) -> TestClient {
    server
        .client_with(Environment::Staging, |client| {
            client.scopes = Scope::parse("openid financial-api orders-api staff-api").unwrap();
            client.settings.client_credentials = true;
        })
        .await
}

/// The client with which an API asks.
async fn checker(server: &Server, name: &str) -> TestClient {
    server.client_with(Environment::Staging, |client| client.id = name.to_owned()).await
}

fn resource(of: &str) -> String {
    format!("&resource={}", encode(of))
}

async fn exchange(server: &Server, client: &TestClient, code: &str, named: &[&str]) -> Answer {
    let mut form = vec![
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", client.redirect_uri.as_str()),
    ];
    form.extend(named.iter().map(|resource| ("resource", *resource)));
    server.token(client, &form).await
}

async fn refresh(server: &Server, client: &TestClient, token: &str, named: &str) -> Answer {
    let form = [("grant_type", "refresh_token"), ("refresh_token", token), ("resource", named)];
    server.token(client, &form).await
}

/// As an API verifies a signed token offline (RFC 9068 4).
async fn verified(server: &Server, token: &str, algorithm: Algorithm) -> Value {
    let set = reqwest::get(server.url("/oauth/jwks")).await.unwrap().text().await.unwrap();
    let set = JwkSet::parse(set.as_bytes()).unwrap();
    let typ = TypeDemand::OneOf(&["at+jwt"]);
    let demand = Demand { algorithms: &[algorithm], typ, max_bytes: 8192 };
    let verified = UnverifiedJws::parse(token, &demand).unwrap().verify(set.keys()).unwrap();
    serde_json::from_slice(verified.payload()).unwrap()
}

#[tokio::test]
async fn a_token_is_for_the_api_that_was_named_and_carries_the_scopes_that_it_knows() {
    let server = start().await;
    let client = client(&server).await;
    let code = server.code(&client, &resource(ORDERS)).await;
    let answer = exchange(&server, &client, &code, &[]).await;
    assert_eq!((answer.status, answer.text("scope")), (200, "orders-api"));
    assert!(answer.text("access_token").starts_with("gr_access_"));
    let said = introspect(&server, &client, answer.text("access_token")).await;
    assert_eq!((said.text("aud"), said.text("scope")), (ORDERS, "orders-api"));
    // Another API of this very server does not take it.
    let refused = server.api("/o/op/data/businesses", answer.text("access_token")).await;
    assert_eq!(refused.status, 401);
    // Two APIs: a seal for both, and at the token endpoint one at a time.
    let code = server.code(&client, &format!("{}{}", resource(ORDERS), resource(FINANCE))).await;
    let answer = exchange(&server, &client, &code, &[]).await;
    assert_eq!(answer.text("scope"), "financial-api orders-api");
    let said = introspect(&server, &client, answer.text("access_token")).await;
    assert_eq!(said.body["aud"], json!([FINANCE, ORDERS]));
    let one = refresh(&server, &client, answer.text("refresh_token"), FINANCE).await;
    assert_eq!((one.status, one.text("scope")), (200, "financial-api"));
    verified(&server, one.text("access_token"), Algorithm::Es256).await;
    let other = refresh(&server, &client, one.text("refresh_token"), ORDERS).await;
    assert_eq!((other.status, other.text("scope")), (200, "orders-api"));
}

#[tokio::test]
async fn s12_an_api_that_was_not_allowed_is_refused_and_nothing_is_spent() {
    let server = start().await;
    let client = client(&server).await;
    for (unknown, error) in
        [("https://evil.example", "invalid_target"), ("not-a-uri", "invalid_target")]
    {
        let page = server.browser().get(&server.authorize_url(&client, &resource(unknown))).await;
        page.assert_refused(&client.redirect_uri, error, "");
    }
    let code = server.code(&client, &resource(ORDERS)).await;
    for beyond in [FINANCE, "https://evil.example"] {
        let refused = exchange(&server, &client, &code, &[beyond]).await;
        refused.assert_error(400, "invalid_target", "is no API of this environment, or none");
    }
    let refused = exchange(&server, &client, &code, &["#"]).await;
    refused.assert_error(400, "invalid_target", "absolute URI");
    let answer = exchange(&server, &client, &code, &[ORDERS, ORDERS]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let refused = refresh(&server, &client, answer.text("refresh_token"), FINANCE).await;
    refused.assert_error(400, "invalid_target", "");
    assert_eq!(server.refresh(&client, answer.text("refresh_token")).await.status, 200);
    // Who named none at first may name each later (RFC 8707 2.2).
    let code = server.code(&client, "").await;
    let answer = exchange(&server, &client, &code, &[FINANCE]).await;
    assert_eq!((answer.status, answer.text("scope")), (200, "financial-api"));
}

/// A token whose audience is an API that its client has no scope of opens that API wherever somebody
/// looks at `aud` alone.
#[tokio::test]
async fn s15_a_client_gets_no_token_for_an_api_that_it_has_no_scope_of() {
    let server = start().await;
    let client = server
        .client_with(Environment::Staging, |client| {
            client.scopes = Scope::parse("openid orders-api").unwrap();
            client.settings.client_credentials = true;
            client.settings.device_code = true;
        })
        .await;
    let words = "no scope that the API";
    let own = [("grant_type", "client_credentials"), ("resource", FINANCE)];
    server.token(&client, &own).await.assert_error(400, "invalid_target", words);
    // A grant that named none, narrowed at the exchange and at a refresh: nothing is spent.
    let code = server.code(&client, "&scope=openid%20orders-api").await;
    let refused = exchange(&server, &client, &code, &[STAFF]).await;
    refused.assert_error(400, "invalid_target", words);
    let refused = exchange(&server, &client, &code, &[ORDERS, STAFF]).await;
    refused.assert_error(400, "invalid_target", words);
    let answer = exchange(&server, &client, &code, &[ORDERS]).await;
    assert_eq!((answer.status, answer.text("scope")), (200, "orders-api"), "{answer:?}");
    let token = answer.text("refresh_token");
    refresh(&server, &client, token, FINANCE).await.assert_error(400, "invalid_target", words);
    let form = [
        ("grant_type", "refresh_token"),
        ("refresh_token", token),
        ("resource", ORDERS),
        ("scope", "openid"),
    ];
    server.token(&client, &form).await.assert_error(400, "invalid_target", words);
    assert_eq!(refresh(&server, &client, token, ORDERS).await.status, 200);
    // Where it is named first it is refused at once, before any customer is asked.
    let page = server.browser().get(&server.authorize_url(&client, &resource(FINANCE))).await;
    page.assert_refused(&client.redirect_uri, "invalid_target", words);
    let more = format!("&scope=openid{}", resource(ORDERS));
    let page = server.browser().get(&server.authorize_url(&client, &more)).await;
    page.assert_refused(&client.redirect_uri, "invalid_target", words);
    let begin = Call::at(&server.staging, "/oauth/device_authorization").basic(&client);
    let begun = begin.form(&[("resource", FINANCE)]).send().await;
    begun.assert_error(400, "invalid_target", words);
}

/// Whoever takes tokens for another API could otherwise ask here who its customers are.
#[tokio::test]
async fn a_token_for_another_api_opens_no_userinfo_and_says_nothing_of_its_customer() {
    let server = start().await;
    let client = client(&server).await;
    let code = server.code(&client, "&scope=openid%20orders-api").await;
    let answer = exchange(&server, &client, &code, &[]).await;
    assert_eq!(server.api("/oauth/userinfo", answer.text("access_token")).await.status, 200);
    let narrow = refresh(&server, &client, answer.text("refresh_token"), ORDERS).await;
    let token = narrow.text("access_token");
    assert_eq!(narrow.text("scope"), "orders-api");
    assert_eq!(introspect(&server, &client, token).await.text("scope"), "orders-api");
    let refused = server.api("/oauth/userinfo", token).await;
    refused.assert_error(401, "invalid_token", "for another API");
    // Also where the API knows that scope by itself; and where it stands here, it is the same place.
    let mut knows = apis().iter().cloned().collect::<Vec<Api>>();
    knows[0].scopes = Scope::parse("orders-api openid").unwrap();
    let settings = Settings { apis: Apis::new(knows), ..Settings::default() };
    let server = Server::start_with(settings, true).await;
    let client = self::client(&server).await;
    let more = format!("&scope=openid%20orders-api{}", resource(ORDERS));
    let answer = exchange(&server, &client, &server.code(&client, &more).await, &[]).await;
    assert_eq!(answer.text("scope"), "openid orders-api");
    assert_eq!(answer.text("id_token").split('.').count(), 3);
    let refused = server.api("/oauth/userinfo", answer.text("access_token")).await;
    refused.assert_error(401, "invalid_token", "for another API");
    let dev = Server::start().await;
    let more = format!("&scope=openid%20orders-api{}", resource(&dev.staging.base_url));
    let answer = dev.exchange(&dev.demo_client(), &dev.code(&dev.demo_client(), &more).await).await;
    assert_eq!(dev.api("/oauth/userinfo", answer.text("access_token")).await.status, 200);
}

#[tokio::test]
async fn a_signed_token_is_what_rfc_9068_says_and_answers_here_as_a_seal_does() {
    let server = start().await;
    let client = client(&server).await;
    let more = format!("&scope=openid+financial-api+staff-api{}", resource(FINANCE));
    let target = server.browser().allow(&server.authorize_url(&client, &more)).await;
    let answer = server.exchange(&client, &query(&target, "code").unwrap()).await;
    let token = answer.text("access_token");
    let said = verified(&server, token, Algorithm::Es256).await;
    let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
    let introspected = introspect(&server, &client, token).await;
    for (claim, expected) in [
        ("iss", json!(server.staging.base_url)),
        ("aud", json!(FINANCE)),
        ("client_id", json!(client.id)),
        ("exp", json!(START + 3600)),
        ("iat", json!(START)),
        ("scope", json!("financial-api")),
    ] {
        assert_eq!(said[claim], expected, "{claim}");
        assert_eq!(introspected.body[claim], expected, "{claim}");
    }
    for same in ["sub", "jti"] {
        assert_eq!(said[same], introspected.body[same], "{same}");
    }
    assert_eq!(said["businesses"], json!([BISTRO.to_string(), GRILL.to_string()]));
    // It is for that API alone, also where this server verifies it.
    let elsewhere = server.api("/oauth/userinfo", token).await;
    elsewhere.assert_error(401, "invalid_token", "for another API");
    // An ID token is none, although the same keys sign it, nor is a token that was changed.
    let id_token = introspect(&server, &client, answer.text("id_token")).await;
    assert_eq!(id_token.body, json!({ "active": false }));
    let (start, signature) = token.rsplit_once('.').unwrap();
    for changed in [format!("{start}."), format!("{start}A.{signature}"), start.to_owned()] {
        assert_eq!(introspect(&server, &client, &changed).await.body, json!({ "active": false }));
    }
    // Revoked alone, it is ended here at once.
    assert_eq!(revoke(&server, &client, token).await.status, 200);
    assert_eq!(introspect(&server, &client, token).await.body, json!({ "active": false }));
    let again = server.refresh(&client, answer.text("refresh_token")).await;
    let token = again.text("access_token");
    assert_eq!(introspect(&server, &client, token).await.body["active"], true);
    // And with its connection.
    assert_eq!(revoke(&server, &client, again.text("refresh_token")).await.status, 200);
    assert_eq!(introspect(&server, &client, token).await.body, json!({ "active": false }));
}

#[tokio::test]
async fn a_clients_own_token_is_signed_where_its_api_wants_that() {
    let server = start().await;
    let client = client(&server).await;
    let form = [("grant_type", "client_credentials"), ("resource", STAFF)];
    let answer = server.token(&client, &form).await;
    assert_eq!((answer.status, answer.text("scope")), (200, "staff-api"));
    let token = answer.text("access_token");
    let said = verified(&server, token, Algorithm::EdDsa).await;
    assert_eq!((&said["sub"], &said["aud"]), (&json!(client.id), &json!(STAFF)));
    assert_eq!(said["businesses"], Value::Null);
    let introspected = introspect(&server, &client, token).await;
    assert_eq!((introspected.text("sub"), introspected.text("aud")), (client.id.as_str(), STAFF));
    let seen = introspect(&server, &checker(&server, "checks-staff").await, token).await;
    assert_eq!((seen.text("client_id"), seen.text("scope")), (client.id.as_str(), "staff-api"));
    assert_eq!(revoke(&server, &client, token).await.status, 200);
    assert_eq!(introspect(&server, &client, token).await.body, json!({ "active": false }));
    // Nobody stands behind it of whom OpenID Connect could tell.
    let form = [("grant_type", "client_credentials"), ("scope", "openid")];
    server.token(&client, &form).await.assert_error(400, "invalid_scope", "openid");
    let all = server.token(&client, &[("grant_type", "client_credentials")]).await;
    assert_eq!(all.text("scope"), "financial-api orders-api staff-api");
}

#[tokio::test]
async fn s17_a_resource_server_learns_of_access_tokens_of_its_audience_alone() {
    let server = start().await;
    let client = client(&server).await;
    let (orders, financial) =
        (checker(&server, "checks-orders").await, checker(&server, "checks-financial").await);
    let inactive = json!({ "active": false });
    let code = server.code(&client, &resource(ORDERS)).await;
    let of_orders = exchange(&server, &client, &code, &[]).await;
    let token = of_orders.text("access_token");
    let mut seen = introspect(&server, &orders, token).await;
    let owner = introspect(&server, &client, token).await;
    // Ids are text: they do not fit into a JavaScript number.
    let members = seen.body.as_object_mut().unwrap();
    let places = ["businesses", "locations"].map(|member| members.remove(member).unwrap());
    assert_eq!(places[0], json!([BISTRO.to_string(), GRILL.to_string()]));
    let locations = ["9765040300495501", "9765040300495502", "9765040300495503"];
    assert_eq!(places[1], json!(locations));
    assert_eq!(seen.body, owner.body, "sub, client_id and all of it, as the owner sees it");
    assert_eq!(introspect(&server, &financial, token).await.body, inactive);
    // Never a refresh token or a code.
    let refresh_token = of_orders.text("refresh_token");
    assert_eq!(introspect(&server, &orders, refresh_token).await.body, inactive);
    let code = server.code(&client, &resource(ORDERS)).await;
    assert_eq!(introspect(&server, &orders, &code).await.body, inactive);
    // Nor may it end what it may look at.
    assert_eq!(revoke(&server, &orders, token).await.status, 200);
    assert_eq!(introspect(&server, &client, token).await.body["active"], true);
    // A token that names no API is for whichever knows its scopes, and each sees its own of them.
    let code = server.code(&client, "").await;
    let whole = exchange(&server, &client, &code, &[]).await;
    let token = whole.text("access_token");
    for (api, resource, scope) in
        [(&orders, ORDERS, "orders-api"), (&financial, FINANCE, "financial-api")]
    {
        let seen = introspect(&server, api, token).await;
        assert_eq!((seen.text("aud"), seen.text("scope")), (resource, scope));
    }
    let stranger = server.client().await;
    assert_eq!(introspect(&server, &stranger, token).await.body, inactive);
}

#[tokio::test]
async fn s17_an_api_is_told_that_a_token_is_for_it_though_the_token_names_none() {
    let server = start().await;
    let client = client(&server).await;
    let form = [("grant_type", "client_credentials"), ("scope", "orders-api staff-api")];
    let own = server.token(&client, &form).await;
    let token = own.text("access_token");
    assert_eq!(introspect(&server, &client, token).await.body.get("aud"), None);
    let staff = checker(&server, "checks-staff").await;
    let seen = introspect(&server, &staff, token).await;
    assert_eq!((seen.text("aud"), seen.text("scope")), (STAFF, "staff-api"));
    // Also to an API that is brought a token of its own, which keeps all of its scopes.
    let backend = server
        .client_with(Environment::Staging, |client| {
            client.id = "checks-orders".to_owned();
            client.scopes = Scope::parse("orders-api staff-api").unwrap();
            client.settings.client_credentials = true;
        })
        .await;
    let own = server.token(&backend, &form).await;
    let seen = introspect(&server, &backend, own.text("access_token")).await;
    assert_eq!((seen.text("aud"), seen.text("scope")), (ORDERS, "orders-api staff-api"));
}

#[tokio::test]
async fn a_consent_for_one_api_is_not_silent_for_another_and_the_page_names_it() {
    let server = start().await;
    let client = client(&server).await;
    let browser = server.browser();
    browser.allow(&server.authorize_url(&client, &resource(ORDERS))).await;
    let again = browser.get(&server.authorize_url(&client, &resource(ORDERS))).await;
    again.assert_code(&client.redirect_uri);
    for more in [resource(FINANCE), String::new()] {
        let page = browser.get(&server.authorize_url(&client, &more)).await;
        assert!(page.step().is_some_and(|step| step != "sign_in"), "{more}: {}", page.text);
    }
    let ways = format!("{}&prompt=consent", resource(FINANCE));
    let mut page = browser.get(&server.authorize_url(&client, &ways)).await;
    let all = page.values("business");
    let fields: Vec<(&str, &str)> = all.iter().map(|id| ("business", id.as_str())).collect();
    page = browser.submit(&page, &fields).await;
    page = browser.get(&page.absolute(&page.location())).await;
    page.assert_page(200, &format!("The API at {FINANCE}"));
}

#[tokio::test]
async fn u9_the_page_of_a_device_names_the_apis_as_the_consent_page_does() {
    let server = start().await;
    let client =
        server.client_with(Environment::Staging, |client| client.settings.device_code = true).await;
    for (named, shown) in [(vec![], None), (vec![("resource", ORDERS)], Some(ORDERS))] {
        let begin = Call::at(&server.staging, "/oauth/device_authorization").basic(&client);
        let begun = begin.form(&named).send().await;
        assert_eq!(begun.status, 200, "{begun:?}");
        let browser = server.browser();
        let page = browser.get(begun.text("verification_uri_complete")).await;
        let page = browser.sign_in(&page).await;
        let page = browser.submit(&page, &[("user_code", begun.text("user_code"))]).await;
        assert_eq!(page.step().as_deref(), Some("decide"));
        assert_eq!(page.text.contains("Where it may do that"), shown.is_some());
        if let Some(api) = shown {
            page.assert_page(200, &format!("The API at {api}"));
        }
    }
}

#[tokio::test]
async fn each_api_has_metadata_that_leads_here() {
    let server = start().await;
    let found = |path: &str| reqwest::get(server.url(path));
    let path = "/.well-known/oauth-protected-resource/finance.example.com/v1";
    let answer = found(path).await.unwrap();
    assert_eq!(answer.headers()["access-control-allow-origin"], "*");
    let body: Value = answer.json().await.unwrap();
    assert_eq!(body["resource"], FINANCE);
    assert_eq!(body["authorization_servers"], json!([server.staging.base_url]));
    assert_eq!(body["scopes_supported"], json!(["financial-api"]));
    let unknown = found("/.well-known/oauth-protected-resource/evil.example").await.unwrap();
    assert_eq!(unknown.status(), 404);
    let metadata = found("/.well-known/oauth-authorization-server").await.unwrap();
    let metadata: Value = metadata.json().await.unwrap();
    assert_eq!(metadata["protected_resources"], json!([ORDERS, FINANCE, STAFF]));
    // The API of dev stands beside its issuer, and takes a token that names it, with the slash that
    // some libraries write.
    let dev = Server::start().await;
    let with_slash = resource(&format!("{}/", dev.staging.base_url));
    let code = dev.code(&dev.demo_client(), &with_slash).await;
    let answer = dev.exchange(&dev.demo_client(), &code).await;
    assert_eq!(answer.text("scope"), demo::SCOPES);
    let opened = dev.api("/o/op/data/businesses", answer.text("access_token")).await;
    assert_eq!(opened.status, 200, "{opened:?}");
}
