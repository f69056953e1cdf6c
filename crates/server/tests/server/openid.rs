//! OpenID Connect: the ID token, `/oauth/userinfo`, who has to sign in again, and signing out.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::demo;
use grantor_protocol::client::IdTokenAlgorithm;
use grantor_protocol::environment::Environment;
use grantor_protocol::jose::{Algorithm, Demand, JwkSet, TypeDemand, UnverifiedJws};
use grantor_protocol::scope::Scope;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::calls::Call;
use crate::harness::{Answer, Browser, START, Server, TestClient, encode, query};

const ALL: &str = "&scope=openid+profile+email+financial-api&nonce=n-1";
const SIGNED_OUT: &str = "https://mycompany.com/bye";

/// A client that may ask who the customer is.
async fn client(server: &Server) -> TestClient {
    client_of(server, IdTokenAlgorithm::Rs256).await
}

async fn client_of(server: &Server, algorithm: IdTokenAlgorithm) -> TestClient {
    server
        .client_with(Environment::Staging, |client| {
            client.scopes = demo::client_scopes();
            client.settings.id_token_algorithm = algorithm;
            client.post_logout_redirect_uris = vec![SIGNED_OUT.to_owned()];
        })
        .await
}

/// An ID token as a client takes it: verified by the published set.
async fn verified(server: &Server, id_token: &str, algorithm: Algorithm) -> Value {
    let set = reqwest::get(server.url("/oauth/jwks")).await.unwrap().text().await.unwrap();
    let set = JwkSet::parse(set.as_bytes()).unwrap();
    let typ = TypeDemand::OneOf(&["JWT"]);
    let demand = Demand { algorithms: &[algorithm], typ, max_bytes: 8192 };
    let verified = UnverifiedJws::parse(id_token, &demand).unwrap().verify(set.keys()).unwrap();
    serde_json::from_slice(verified.payload()).unwrap()
}

async fn connected(server: &Server, client: &TestClient, more: &str) -> Answer {
    let code = server.code(client, more).await;
    let answer = server.exchange(client, &code).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

async fn userinfo(server: &Server, token: &str) -> Answer {
    server.api("/oauth/userinfo", token).await
}

/// Whose browser that is, by the `sub` of a new ID token.
async fn subject(server: &Server, client: &TestClient) -> String {
    let answer = connected(server, client, "&scope=openid").await;
    claims(answer.text("id_token"))["sub"].as_str().unwrap().to_owned()
}

/// What a token says, unverified.
fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

async fn an_id_token_says_who_when_and_for_whom_and_no_more(server: Server) {
    let client = client(&server).await;
    let browser = server.browser();
    let page = browser.get(&server.authorize_url(&client, ALL)).await;
    let page = browser.sign_in(&page).await;
    server.clock.advance(30);
    let target = browser.allow(page.url.as_ref()).await;
    let code = query(&target, "code").unwrap();
    server.clock.advance(20);
    let answer = server.exchange(&client, &code).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let said = verified(&server, answer.text("id_token"), Algorithm::Rs256).await;
    let half = &digest(&SHA256, answer.text("access_token").as_bytes()).as_ref()[..16].to_vec();
    let expected = json!({
        "iss": server.staging.base_url,
        "sub": said["sub"],
        "aud": client.id,
        "exp": START + 50 + 3600,
        "iat": START + 50,
        "auth_time": START,
        "nonce": "n-1",
        "at_hash": URL_SAFE_NO_PAD.encode(half),
    });
    assert_eq!(said, expected);
    // The same `sub` wherever it is said.
    let info = userinfo(&server, answer.text("access_token")).await;
    let expected = json!({
        "sub": said["sub"], "name": "Casey Customer", "email": demo::CUSTOMER_EMAIL,
    });
    assert_eq!((info.status, info.body), (200, expected));
    // A refresh says nothing new of the customer.
    let refreshed = server.refresh(&client, answer.text("refresh_token")).await;
    assert_eq!((refreshed.status, refreshed.body.get("id_token")), (200, None));
    assert_eq!(userinfo(&server, refreshed.text("access_token")).await.status, 200);
}

async fn who_does_not_ask_for_openid_gets_the_guides_scopes_and_no_id_token(server: Server) {
    let demo_client = server.demo_client();
    for more in ["", "&scope=", "&scope=financial-api+orders-api&nonce=n"] {
        let answer = connected(&server, &demo_client, more).await;
        assert_eq!(answer.text("scope"), "financial-api orders-api", "{more}");
        assert_eq!(answer.body.get("id_token"), None, "{more}");
        let refused = userinfo(&server, answer.text("access_token")).await;
        refused.assert_error(403, "insufficient_scope", "openid");
    }
    let answer = connected(&server, &demo_client, "&scope=openid").await;
    assert_eq!(answer.text("scope"), "openid");
    verified(&server, answer.text("id_token"), Algorithm::Rs256).await;
    let info = userinfo(&server, answer.text("access_token")).await;
    assert_eq!(info.body.as_object().unwrap().keys().collect::<Vec<_>>(), ["sub"]);
}

async fn each_client_gets_the_algorithm_that_it_asked_for(server: Server) {
    for (wanted, algorithm) in [
        (IdTokenAlgorithm::Rs256, Algorithm::Rs256),
        (IdTokenAlgorithm::Es256, Algorithm::Es256),
        (IdTokenAlgorithm::EdDsa, Algorithm::EdDsa),
    ] {
        let client = client_of(&server, wanted).await;
        let answer = connected(&server, &client, "&scope=openid").await;
        verified(&server, answer.text("id_token"), algorithm).await;
    }
}

async fn the_claims_parameter_puts_a_claim_where_it_is_wanted_and_takes_its_scope(server: Server) {
    let client = client(&server).await;
    let asked = encode(r#"{"id_token":{"email":{"essential":true},"birthdate":null}}"#);
    let answer = connected(&server, &client, &format!("&scope=openid&claims={asked}")).await;
    assert_eq!(answer.text("scope"), "email openid", "the consent page showed it");
    let said = verified(&server, answer.text("id_token"), Algorithm::Rs256).await;
    assert_eq!((&said["email"], said.get("name")), (&demo::CUSTOMER_EMAIL.into(), None));
    // Who may not ask for the scope gets no claim by asking for it by name.
    let limited = server
        .client_with(Environment::Staging, |client| {
            client.scopes = Scope::parse("openid").unwrap();
        })
        .await;
    let answer = connected(&server, &limited, &format!("&scope=openid&claims={asked}")).await;
    assert_eq!(answer.text("scope"), "openid");
    let said = verified(&server, answer.text("id_token"), Algorithm::Rs256).await;
    assert_eq!(said.get("email"), None);
    let page =
        server.browser().get(&server.authorize_url(&client, "&scope=openid&claims=[]")).await;
    page.assert_refused(&client.redirect_uri, "invalid_request", "claims takes a JSON object");
}

/// OpenID Connect Core 3.1.2.1: the password is asked for again, for this request and no other.
async fn max_age_and_prompt_login_ask_for_the_password_once_for_each_request(server: Server) {
    let client = client(&server).await;
    let browser = server.browser();
    let first = format!("{}&max_age=60", server.authorize_url(&client, "&scope=openid"));
    browser.allow(&first).await;
    server.clock.advance(61);
    for more in ["&max_age=60", "&prompt=login", "&max_age=0"] {
        let url = format!("{}{more}", server.authorize_url(&client, "&scope=openid"));
        let page = browser.get(&url).await;
        assert_eq!(page.step().as_deref(), Some("sign_in"), "{more}");
        let before = server.clock.now();
        let code = query(&browser.allow(&url).await, "code").unwrap();
        let answer = server.exchange(&client, &code).await;
        assert_eq!(claims(answer.text("id_token"))["auth_time"], before, "{more}");
        // What satisfied that request satisfies no other.
        server.clock.advance(61);
        assert_eq!(browser.get(&url).await.step().as_deref(), Some("sign_in"), "{more}");
    }
    let url = format!("{}&max_age=1000", server.authorize_url(&client, "&scope=openid"));
    browser.get(&url).await.assert_code(&client.redirect_uri);
    let quiet = format!("{}&max_age=1&prompt=none", server.authorize_url(&client, "&scope=openid"));
    let refused = browser.get(&quiet).await;
    refused.assert_refused(&client.redirect_uri, "login_required", "not recently enough");
    let malformed = format!("{}&max_age=-1", server.authorize_url(&client, ""));
    let refused = browser.get(&malformed).await;
    refused.assert_refused(&client.redirect_uri, "invalid_request", "max_age");
}

async fn a_request_for_another_customer_gets_no_code_of_this_one(server: Server) {
    let client = client(&server).await;
    let (staging, password) = (Environment::Staging, "a long password of robin");
    server.customer(staging, "robin@example.com", password, 1).await;
    let of_casey = connected(&server, &client, "&scope=openid").await;
    let hint = of_casey.text("id_token").to_owned();
    let casey = claims(&hint)["sub"].as_str().unwrap().to_owned();
    let browser = server.browser();
    let url = server.authorize_url(&client, "&scope=openid");
    let page = browser.get(&url).await;
    let page = browser.sign_in_as(&page, "robin@example.com", password).await;
    browser.allow(page.url.as_ref()).await;
    let demanded = encode(&format!(r#"{{"id_token":{{"sub":{{"value":"{casey}"}}}}}}"#));
    for more in [format!("&id_token_hint={hint}"), format!("&claims={demanded}")] {
        let quiet = browser.get(&format!("{url}{more}&prompt=none")).await;
        quiet.assert_refused(&client.redirect_uri, "login_required", "not signed in");
        let page = browser.get(&format!("{url}{more}")).await;
        assert_eq!(page.step().as_deref(), Some("sign_in"), "{more}");
        let page = browser.sign_in_as(&page, "robin@example.com", password).await;
        page.assert_refused(&client.redirect_uri, "login_required", "not signed in");
        let page = browser.get(&format!("{url}{more}")).await;
        let target = browser.allow(page.url.as_ref()).await;
        assert!(query(&target, "code").is_some(), "{target}");
        let back = browser.get(&format!("{url}&prompt=login")).await;
        browser.sign_in_as(&back, "robin@example.com", password).await;
    }
    // A hint that nobody can read means nobody: a code without a question goes to no one.
    let quiet = browser.get(&format!("{url}&prompt=none&id_token_hint=x.y.z")).await;
    quiet.assert_refused(&client.redirect_uri, "login_required", "not signed in");
}

async fn userinfo_answers_by_get_and_post_and_says_what_is_wrong(server: Server) {
    let client = client(&server).await;
    let answer = connected(&server, &client, ALL).await;
    let token = answer.text("access_token");
    let by_post = Call::at(&server.staging, "/oauth/userinfo")
        .header("Authorization", format!("Bearer {token}").as_bytes())
        .send()
        .await;
    assert_eq!((by_post.status, by_post.text("name")), (200, "Casey Customer"));
    let none = Call::at(&server.staging, "/oauth/userinfo").method("GET").send().await;
    assert_eq!(none.status, 401);
    let challenge = none.headers["www-authenticate"].to_str().unwrap();
    assert_eq!(challenge, "Bearer realm=\"grantor staging\"", "RFC 6750 3.1: no error code");
    for wrong in ["nonsense", answer.text("refresh_token"), answer.text("id_token")] {
        let refused = userinfo(&server, wrong).await;
        refused.assert_error(401, "invalid_token", "expired, revoked");
    }
    server.clock.advance(3600);
    userinfo(&server, token).await.assert_error(401, "invalid_token", "expired");
}

/// A refresh token comes without `offline_access` unless the client's setting says otherwise.
async fn offline_access_is_needed_where_the_clients_setting_says_so(server: Server) {
    let client = client(&server).await;
    let answer = connected(&server, &client, "&scope=openid").await;
    assert!(answer.body.get("refresh_token").is_some());
    let strict = server
        .client_with(Environment::Staging, |client| {
            client.scopes = demo::client_scopes();
            client.settings.offline_access_required = true;
        })
        .await;
    let answer = connected(&server, &strict, "&scope=openid").await;
    assert_eq!(answer.body.get("refresh_token"), None);
    let answer = connected(&server, &strict, "&scope=openid+offline_access").await;
    assert_eq!(server.refresh(&strict, answer.text("refresh_token")).await.status, 200);
}

/// Whether the browser is signed in.
async fn is_signed_in(server: &Server, browser: &Browser, client: &TestClient) -> bool {
    let url = server.authorize_url(client, "&scope=openid&prompt=none");
    let target = browser.get(&url).await.location();
    match query(&target, "error").as_deref() {
        None => true,
        Some("login_required") => false,
        other => panic!("{other:?}"),
    }
}

async fn signing_out_with_the_customers_id_token_ends_the_session_and_no_connection(
    server: Server,
) {
    let client = client(&server).await;
    let browser = server.browser();
    let url = server.authorize_url(&client, "&scope=openid");
    let code = query(&browser.allow(&url).await, "code").unwrap();
    let answer = server.exchange(&client, &code).await;
    assert!(is_signed_in(&server, &browser, &client).await);
    let hint = answer.text("id_token");
    let target = encode(SIGNED_OUT);
    let path = format!(
        "/oauth/logout?id_token_hint={hint}&post_logout_redirect_uri={target}&state=a%26b%23"
    );
    let page = browser.get(&server.url(&path)).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER);
    assert_eq!(page.location(), format!("{SIGNED_OUT}?state=a%26b%23"));
    assert!(!is_signed_in(&server, &browser, &client).await);
    assert_eq!(server.count("sessions"), 0);
    assert_eq!(server.refresh(&client, answer.text("refresh_token")).await.status, 200);
    // Once more, by POST and with nobody signed in: the same answer.
    let form = format!("id_token_hint={hint}&post_logout_redirect_uri={target}");
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let page = browser.post(&server.url("/oauth/logout"), &headers, form).await;
    assert_eq!((page.status, page.location()), (StatusCode::SEE_OTHER, SIGNED_OUT.to_owned()));
}

async fn s9_nobody_is_signed_out_by_a_link_alone(server: Server) {
    let client = client(&server).await;
    let other = connected(&server, &client, "&scope=openid").await;
    let (staging, password) = (Environment::Staging, "a long password of robin");
    server.customer(staging, "robin@example.com", password, 1).await;
    let browser = server.browser();
    let url = server.authorize_url(&client, "&scope=openid");
    let page = browser.get(&url).await;
    let page = browser.sign_in_as(&page, "robin@example.com", password).await;
    browser.allow(page.url.as_ref()).await;
    let target = encode(SIGNED_OUT);
    let hint = other.text("id_token");
    for more in [
        String::new(),
        format!("client_id={}&post_logout_redirect_uri={target}", client.id),
        // The ID token of another customer.
        format!("id_token_hint={hint}"),
        // Of this client, named as another.
        format!("id_token_hint={hint}&client_id=another"),
    ] {
        let page = browser.get(&server.url(&format!("/oauth/logout?{more}"))).await;
        page.assert_page(200, "Sign out?");
        assert!(is_signed_in(&server, &browser, &client).await, "{more}");
        let forged = [("Content-Type", "application/x-www-form-urlencoded")];
        let answer = browser.post(page.url.as_ref(), &forged, "csrf_token=x").await;
        answer.assert_page(400, "still signed in");
        assert!(is_signed_in(&server, &browser, &client).await, "{more}");
    }
    let path = format!("/oauth/logout?client_id={}&post_logout_redirect_uri={target}", client.id);
    let page = browser.get(&server.url(&path)).await;
    let answer = browser.submit(&page, &[]).await;
    assert_eq!((answer.status, answer.location()), (StatusCode::SEE_OTHER, SIGNED_OUT.to_owned()));
    assert!(!is_signed_in(&server, &browser, &client).await);
    let page = browser.get(&server.url("/oauth/logout")).await;
    page.assert_page(200, "You are signed out");
}

/// A form that another site posts brings no cookie (`SameSite=Lax`): "nobody is signed in" was answered
/// with a new cookie, which took the place of the living one.
async fn s9_a_form_of_another_site_takes_no_session_away(server: Server) {
    let client = client(&server).await;
    let browser = server.browser();
    browser.allow(&server.authorize_url(&client, "&scope=openid")).await;
    let form = format!("client_id={}&post_logout_redirect_uri={}", client.id, encode(SIGNED_OUT));
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let without_cookie = server.browser();
    for form in [form.as_str(), "", "state=%0d%0aSet-Cookie:x\u{e4}"] {
        let answer = without_cookie.post(&server.url("/oauth/logout"), &headers, form).await;
        assert_eq!((answer.status, answer.header("set-cookie")), (StatusCode::SEE_OTHER, ""));
        assert!(answer.location().starts_with("/oauth/logout?"), "{}", answer.location());
        // There the browser sends its cookie, and the customer is asked.
        let page = browser.get(&answer.absolute(&answer.location())).await;
        page.assert_page(200, "Sign out?");
        assert_eq!(page.header("set-cookie"), "");
        // And where nobody is signed in, nothing is set, and it comes to an end.
        let page = without_cookie.get(&answer.absolute(&answer.location())).await;
        assert_ne!(page.location().get(..14), Some("/oauth/logout?"));
        assert_eq!(page.header("set-cookie"), "");
    }
    assert!(is_signed_in(&server, &browser, &client).await);
    assert_eq!(server.count("sessions"), 1);
}

/// Whoever registers a client by himself could send people anywhere by this server's name.
async fn s3_signing_out_makes_no_open_redirector_of_a_client_that_nobody_approved(server: Server) {
    let client = server
        .client_with(Environment::Staging, |client| {
            client.scopes = demo::client_scopes();
            client.approved = false;
            client.post_logout_redirect_uris = vec![SIGNED_OUT.to_owned()];
        })
        .await;
    let browser = server.browser();
    let target = browser.allow(&server.authorize_url(&client, "&scope=openid")).await;
    let answer = server.exchange(&client, &query(&target, "code").unwrap()).await;
    let (hint, to) = (answer.text("id_token"), encode(SIGNED_OUT));
    // The ID token may be of the attacker's own account, so it does not help where nobody is
    // signed in.
    let by_id = format!("client_id={}", client.id);
    for proof in [by_id.clone(), format!("id_token_hint={hint}")] {
        let path = format!("/oauth/logout?{proof}&post_logout_redirect_uri={to}&state=a%22%3E");
        let page = server.browser().get(&server.url(&path)).await;
        page.assert_page(200, "You are signed out");
        page.assert_page(200, "Nobody has reviewed the app");
        let host = SIGNED_OUT.split('/').nth(2).unwrap();
        assert!(page.text.contains(&format!("<bdi>{host}</bdi>")), "{}", page.text);
        assert!(page.text.contains(&format!("{SIGNED_OUT}?state=a%22%3E")), "{}", page.text);
    }
    // After the customer's press, and with the ID token of the very customer, it goes there.
    let path = format!("/oauth/logout?{by_id}&post_logout_redirect_uri={to}");
    let page = browser.get(&server.url(&path)).await;
    page.assert_page(200, "Sign out?");
    let policy = page.header("content-security-policy").to_owned();
    assert!(policy.contains("form-action 'self' https://mycompany.com;"), "{policy}");
    let pressed = browser.submit(&page, &[]).await;
    assert_eq!((pressed.status, pressed.location()), (StatusCode::SEE_OTHER, SIGNED_OUT.into()));
    browser.allow(&server.authorize_url(&client, "&scope=openid")).await;
    let path = format!("/oauth/logout?id_token_hint={hint}&post_logout_redirect_uri={to}");
    let gone = browser.get(&server.url(&path)).await;
    assert_eq!((gone.status, gone.location()), (StatusCode::SEE_OTHER, SIGNED_OUT.to_owned()));
}

async fn s2_after_signing_out_only_a_registered_address_is_gone_to(server: Server) {
    let client = client(&server).await;
    let browser = server.browser();
    let url = server.authorize_url(&client, "&scope=openid");
    let code = query(&browser.allow(&url).await, "code").unwrap();
    let hint = server.exchange(&client, &code).await.text("id_token").to_owned();
    let stranger = server.client().await;
    for (more, target) in [
        (format!("id_token_hint={hint}"), "https://evil.example/"),
        (format!("id_token_hint={hint}"), "https://mycompany.com/bye/"),
        (format!("id_token_hint={hint}"), "https://mycompany.com/bye?x=1"),
        // A redirect URI is none to go to after signing out.
        (format!("id_token_hint={hint}"), client.redirect_uri.as_str()),
        (format!("id_token_hint={hint}&client_id={}", stranger.id), SIGNED_OUT),
        (format!("client_id={}", stranger.id), SIGNED_OUT),
        (String::new(), SIGNED_OUT),
    ] {
        let path = format!("/oauth/logout?{more}&post_logout_redirect_uri={}", encode(target));
        let page = browser.get(&server.url(&path)).await;
        page.assert_page(400, "We stopped before leaving this page");
        assert!(is_signed_in(&server, &browser, &client).await, "{path}");
    }
}

async fn the_same_customer_has_the_same_sub_for_every_client_and_environments_differ(
    server: Server,
) {
    let (one, other) = (client(&server).await, client(&server).await);
    assert_eq!(subject(&server, &one).await, subject(&server, &other).await);
    let found = reqwest::get(server.url("/.well-known/openid-configuration")).await.unwrap();
    let found: Value = found.json().await.unwrap();
    let same = reqwest::get(server.url("/.well-known/oauth-authorization-server")).await.unwrap();
    assert_eq!(found, same.json::<Value>().await.unwrap());
    // OpenID Connect Discovery 3: REQUIRED.
    for name in [
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "response_types_supported",
        "subject_types_supported",
        "id_token_signing_alg_values_supported",
    ] {
        assert!(found.get(name).is_some(), "{name}");
    }
    let algorithms = found["id_token_signing_alg_values_supported"].as_array().unwrap();
    assert!(algorithms.contains(&"RS256".into()));
}

on_both_engines! {
    an_id_token_says_who_when_and_for_whom_and_no_more,
    who_does_not_ask_for_openid_gets_the_guides_scopes_and_no_id_token,
    each_client_gets_the_algorithm_that_it_asked_for,
    the_claims_parameter_puts_a_claim_where_it_is_wanted_and_takes_its_scope,
    max_age_and_prompt_login_ask_for_the_password_once_for_each_request,
    a_request_for_another_customer_gets_no_code_of_this_one,
    userinfo_answers_by_get_and_post_and_says_what_is_wrong,
    offline_access_is_needed_where_the_clients_setting_says_so,
    signing_out_with_the_customers_id_token_ends_the_session_and_no_connection,
    s9_a_form_of_another_site_takes_no_session_away,
    s3_signing_out_makes_no_open_redirector_of_a_client_that_nobody_approved,
    s9_nobody_is_signed_out_by_a_link_alone,
    s2_after_signing_out_only_a_registered_address_is_gone_to,
    the_same_customer_has_the_same_sub_for_every_client_and_environments_differ,
}
