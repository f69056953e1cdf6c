//! `/oauth/authorize` before anybody is asked anything: what is refused, how, and where to.

use grantor::site::Settings;
use grantor_protocol::client::ClientSettings;
use grantor_protocol::environment::Environment;
use grantor_protocol::redirect_uri::RedirectUri;
use grantor_protocol::scope::Scope;
use reqwest::Method;

use crate::harness::{
    DEMO_REDIRECT_URI, Page, REDIRECT_URI, Server, TestClient, encode, query, unescape,
};

const CHALLENGE: &str = "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
/// Faults that a request can have once its client and redirect URI are proved: the parameter that
/// makes it, the error and some words of its description.
const FAULTS: [(&str, &str, &str); 12] = [
    ("&response_mode=fragment", "invalid_request", "response_mode"),
    ("&request=eyJhbGciOiJub25lIn0", "request_not_supported", "not supported"),
    ("&request_uri=https://evil.example/r", "request_uri_not_supported", "not supported"),
    ("&scope=admin", "invalid_scope", "'admin'"),
    ("&scope=financial_api", "invalid_scope", "Did you mean 'financial-api'?"),
    ("&scope=financial-api,orders-api", "invalid_scope", "commas"),
    ("&scope=a%22b", "invalid_scope", "character"),
    ("&prompt=create", "invalid_request", "prompt"),
    ("&prompt=none+login", "invalid_request", "prompt=none"),
    ("&code_challenge=abc&code_challenge_method=S256", "invalid_request", "code_challenge"),
    ("&code_challenge_method=S256", "invalid_request", "code_challenge"),
    ("&scope=a&scope=b", "invalid_request", "'scope'"),
];

/// Redirect URIs that resemble the registered one, lead a parser astray, or run.
const DIFFERENT: &[&str] = &[
    "https://mycompany.com/redirection/ikentoo/",
    "https://mycompany.com/redirection/ikentoo//",
    "https://mycompany.com/redirection/Ikentoo",
    "https://mycompany.com/redirection/ikentoo?",
    "https://mycompany.com/redirection/ikentoo?next=https://evil.example",
    "https://mycompany.com/redirection/ikentoo#",
    "https://mycompany.com/redirection/ikentoo#@evil.example/",
    "https://mycompany.com:443/redirection/ikentoo",
    "https://mycompany.com:8443/redirection/ikentoo",
    "https://mycompany.com:/redirection/ikentoo",
    "https://mycompany.com:80@evil.example/redirection/ikentoo",
    "https://user@mycompany.com/redirection/ikentoo",
    "https://user:pass@mycompany.com/redirection/ikentoo",
    "https://mycompany.com@evil.example/redirection/ikentoo",
    "https://mycompany.com%40evil.example/redirection/ikentoo",
    "https://mycompany.com.evil.example/redirection/ikentoo",
    "https://evil.example/mycompany.com/redirection/ikentoo",
    "https://mycompany.com./redirection/ikentoo",
    "https://mycompany.com\\redirection/ikentoo",
    "https://evil.example\\@mycompany.com/redirection/ikentoo",
    "https:\\\\mycompany.com\\redirection\\ikentoo",
    "https:/mycompany.com/redirection/ikentoo",
    "https:mycompany.com/redirection/ikentoo",
    "https://mycompany.com/redirection/%69kentoo",
    "https://mycompany.com/redirection%2Fikentoo",
    "https://mycompany.com/redirection/x/../ikentoo",
    "https://mycompany.com/redirection/x/%2e%2e/ikentoo",
    "https://mycompany.com/redirection/x/%252e%252e/ikentoo",
    "https://mycompany.com/redirection/./ikentoo",
    "https%3A%2F%2Fmycompany.com%2Fredirection%2Fikentoo",
    "HTTPS://mycompany.com/redirection/ikentoo",
    "https://MYCOMPANY.com/redirection/ikentoo",
    "http://mycompany.com/redirection/ikentoo",
    "//mycompany.com/redirection/ikentoo",
    "/redirection/ikentoo",
    "https://\u{ff4d}ycompany.com/redirection/ikentoo",
    "https://myc\u{43e}mpany.com/redirection/ikentoo",
    "https://xn--mycmpany-xxe.com/redirection/ikentoo",
    "https://mycompany.com\u{3002}evil.example/redirection/ikentoo",
    "https://mycompany.com/redirection/ikentoo\u{202e}moc.live",
    " https://mycompany.com/redirection/ikentoo",
    "https://mycompany.com/redirection/ikentoo ",
    "\thttps://mycompany.com/redirection/ikentoo",
    "https://mycompany.com/redirection/ikentoo\r\nSet-Cookie: planted=1",
    "https://mycompany.com/redirection/ikentoo\r\nLocation: https://evil.example/",
    "https://mycompany.com/redirection/ikentoo,https://evil.example",
    "javascript:alert(1)//https://mycompany.com/redirection/ikentoo",
    "JaVaScRiPt:alert(document.domain)",
    "java\nscript:alert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:msgbox(1)",
    "file:///etc/passwd",
    "blob:https://mycompany.com/redirection/ikentoo",
    "\"><script>alert(1)</script>",
    "'><img src=x onerror=alert(1)>",
    "https://127.0.0.1/redirection/ikentoo",
    "http://[::1]/redirection/ikentoo",
    "http://2130706433/redirection/ikentoo",
];

fn authorize_url(server: &Server, client_id: &str, redirect_uri: &str) -> String {
    let client = TestClient {
        id: client_id.to_owned(),
        secret: String::new(),
        redirect_uri: redirect_uri.to_owned(),
    };
    server.authorize_url(&client, "")
}

async fn client_at(server: &Server, redirect_uri: &str) -> TestClient {
    let registered = RedirectUri::register(redirect_uri).unwrap();
    server.client_with(Environment::Staging, |client| client.redirect_uris = vec![registered]).await
}

async fn unapproved(server: &Server) -> TestClient {
    server.client_with(Environment::Staging, |client| client.approved = false).await
}

#[tokio::test]
async fn s1_a_redirect_uri_that_differs_in_any_byte_is_a_page_and_never_a_redirect() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    let before = server.rows();
    let long = format!("{REDIRECT_URI}?{}", "x".repeat(4000));
    for sent in DIFFERENT.iter().copied().chain([long.as_str()]) {
        let page = browser.get(&authorize_url(&server, &client.id, sent)).await;
        let shown = sent.replace('\r', "[U+000D]").replace('\u{202e}', "[U+202E]");
        page.assert_page(400, &shown);
        for raw in ["<script>", "<img", "\u{202e}", "href=\"javascript", "href=\"java"] {
            assert!(!page.text.contains(raw), "{raw} in the page for {sent:?}");
        }
        assert_eq!(page.header("set-cookie"), "", "{sent:?}");
    }
    assert_eq!(server.rows(), before);
}

#[tokio::test]
async fn s1_for_a_loopback_literal_the_port_alone_may_differ() {
    let server = Server::start().await;
    let demo = server.demo_client();
    let browser = server.browser();
    for sent in [
        "http://127.0.0.1/callback",
        "http://127.0.0.1:1/callback",
        "http://127.0.0.1:43211/callback",
        "http://127.0.0.1:65535/callback",
    ] {
        let page = browser.get(&authorize_url(&server, &demo.id, sent)).await;
        page.assert_page(200, "Sign in");
    }
    for sent in [
        "http://127.0.0.1:0/callback",
        "http://127.0.0.1:65536/callback",
        "http://127.0.0.1:099/callback",
        "http://127.0.0.1:+99/callback",
        "http://127.0.0.1: 99/callback",
        "http://127.0.0.1:/callback",
        "http://127.0.0.1:99/callback/",
        "http://127.0.0.1:99/callback?x",
        "http://127.0.0.1:99/Callback",
        "http://127.0.0.1:99@evil.example/callback",
        "http://127.0.0.1:99#@evil.example/callback",
        "http://127.0.0.1.evil.example/callback",
        "http://127.0.0.2:99/callback",
        "http://127.1/callback",
        "http://0x7f000001/callback",
        "http://localhost:99/callback",
        "http://[::1]:99/callback",
        "https://127.0.0.1:99/callback",
        // The other one of its redirect URIs has a path of its own.
        "http://127.0.0.1:99/production/callback",
    ] {
        let page = browser.get(&authorize_url(&server, &demo.id, sent)).await;
        page.assert_page(400, sent);
    }
}

#[tokio::test]
async fn s1_s13_the_code_goes_to_the_loopback_port_that_was_asked_for_and_is_bound_to_it() {
    let server = Server::start().await;
    let asked = "http://127.0.0.1:43211/callback".to_owned();
    let tool = TestClient { redirect_uri: asked.clone(), ..server.demo_client() };
    let target = server.browser().allow(&server.authorize_url(&tool, "&state=s")).await;
    assert!(target.starts_with("http://127.0.0.1:43211/callback?code="), "{target}");
    let code = query(&target, "code").unwrap();
    let elsewhere = TestClient {
        redirect_uri: "http://127.0.0.1:43212/callback".into(),
        ..server.demo_client()
    };
    server.exchange(&elsewhere, &code).await.assert_error(400, "invalid_grant", "redirect");
    assert_eq!(server.exchange(&tool, &code).await.status, 200);
}

#[tokio::test]
async fn s1_only_the_clients_own_uris_count() {
    let server = Server::start().await;
    let (one, other) = (
        client_at(&server, "https://one.example/cb").await,
        client_at(&server, "https://other.example/cb").await,
    );
    let browser = server.browser();
    let crossed = authorize_url(&server, &one.id, &other.redirect_uri);
    browser.get(&crossed).await.assert_page(400, "https://other.example/cb");
    for own in [&one, &other] {
        browser.get(&server.authorize_url(own, "")).await.assert_page(200, "Sign in");
    }
    // A private-use scheme is compared byte for byte too.
    let native = client_at(&server, "com.example.app:/cb").await;
    browser.get(&server.authorize_url(&native, "")).await.assert_page(200, "Sign in");
    for sent in ["com.example.app:/cb/", "com.example.app://cb", "COM.example.app:/cb"] {
        let page = browser.get(&authorize_url(&server, &native.id, sent)).await;
        page.assert_page(400, sent);
    }
}

#[tokio::test]
async fn u6_the_page_names_the_value_the_kind_of_difference_the_request_and_the_docs() {
    let server = Server::start().await;
    let client = server.client().await;
    for (sent, kind) in [
        ("https://mycompany.com/redirection/ikentoo/", "slash at its end"),
        ("https://mycompany.com/redirection/IKENTOO", "upper and lower case"),
        ("http://mycompany.com/redirection/ikentoo", "http and https"),
        ("https://mycompany.com:8443/redirection/ikentoo", "in the port"),
        ("https://mycompany.com/redirection%2Fikentoo", "percent-encoded"),
        ("https://mycompany.com/callback", "path differs"),
        ("https://mycompany.com/redirection/ikentoo?a=b", "question mark"),
        ("https://elsewhere.example/redirection/ikentoo", "does not resemble"),
    ] {
        let page = server.browser().get(&authorize_url(&server, &client.id, sent)).await;
        page.assert_page(400, kind);
        page.assert_page(400, sent);
        let request_id = page.header("x-request-id");
        assert_eq!(request_id.len(), 16);
        assert!(page.text.contains(&format!("<code class=\"pick\">{request_id}</code>")));
        assert!(page.text.contains("href=\"/docs/reference/errors#redirect-uri-differs\""));
        // In dev the developer sees what is registered.
        assert!(page.text.contains(&format!("<bdi>{REDIRECT_URI}</bdi>")), "{}", page.text);
    }
}

#[tokio::test]
async fn u6_outside_dev_the_page_does_not_show_what_is_registered() {
    let server = Server::start_with(Settings::default(), false).await;
    let client = server.client().await;
    let sent = "https://mycompany.com/other";
    let page = server.browser().get(&authorize_url(&server, &client.id, sent)).await;
    page.assert_page(400, "path differs");
    page.assert_page(400, sent);
    assert!(!page.text.contains("ikentoo"), "{}", page.text);
    assert!(!page.text.contains("egistered redirect URIs"), "{}", page.text);
}

#[tokio::test]
async fn u4_a_client_of_the_other_environment_is_not_known_and_the_page_names_this_one() {
    let server = Server::start().await;
    let production = server.client_with(Environment::Production, |_| ()).await;
    let page = server.browser().get(&server.authorize_url(&production, "&state=s")).await;
    page.assert_page(400, "staging and production have clients of their own");
    page.assert_page(400, &production.id);
    page.assert_page(400, "This environment");
    // It is not said where it is known, nor where its redirects go.
    assert!(!page.text.contains("mycompany.com"), "{}", page.text);
}

#[tokio::test]
async fn s3_nothing_redirects_before_the_client_and_its_redirect_uri_are_proved() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    let before = server.rows();
    let uri = encode(REDIRECT_URI);
    let id = &client.id;
    let evil = encode("https://evil.example/cb");
    for (unproved, words) in [
        (format!("client_id=unknown&redirect_uri={uri}"), "not known here"),
        (format!("redirect_uri={uri}"), "no client_id"),
        (format!("client_id=&redirect_uri={uri}"), "no client_id"),
        (format!("client_id={id}&client_id={id}&redirect_uri={uri}"), "'client_id'"),
        (format!("client_id[]={id}&redirect_uri={uri}"), "'client_id'"),
        (format!("client_id={id}%ff&redirect_uri={uri}"), "'client_id'"),
        (format!("client_id={id}"), "no redirect_uri"),
        (format!("client_id={id}&redirect_uri="), "no redirect_uri"),
        (format!("client_id={id}&redirect_uri={evil}"), "https://evil.example/cb"),
        (format!("client_id={id}&redirect_uri={uri}&redirect_uri={uri}"), "'redirect_uri'"),
        (format!("client_id={id}&redirect_uri={evil}&redirect_uri={uri}"), "'redirect_uri'"),
        (format!("client_id={id}&redirect_uri={uri}&redirect_uri={evil}"), "'redirect_uri'"),
        (format!("client_id={id}&redirect_uri[]={evil}&redirect_uri={uri}"), "'redirect_uri'"),
        (format!("client_id={id}&redirect_uri=%ff&redirect_uri={uri}"), "'redirect_uri'"),
    ] {
        let faults = FAULTS.map(|(fault, ..)| fault);
        for fault in faults.into_iter().chain(["", "&prompt=none", "&response_type=token"]) {
            let kind =
                if fault.contains("response_type") { "" } else { "response_type=code&state=s&" };
            let url = server.url(&format!("/oauth/authorize?{kind}{unproved}{fault}"));
            browser.get(&url).await.assert_page(400, words);
            let posted = browser.post(&url, &[], "step=consent&decision=deny").await;
            posted.assert_page(400, words);
        }
    }
    assert_eq!(server.rows(), before);
}

#[tokio::test]
async fn s3_s4_each_fault_behind_a_proved_uri_goes_back_with_error_state_and_iss() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    let before = server.rows();
    for (fault, error, words) in FAULTS {
        let page =
            browser.get(&server.authorize_url(&client, &format!("&state=a%26b{fault}"))).await;
        page.assert_refused(&format!("{REDIRECT_URI}?error="), error, words);
        let target = page.location();
        assert_eq!(query(&target, "state").as_deref(), Some("a&b"));
        assert_eq!(query(&target, "iss").as_deref(), Some(server.staging.base_url.as_str()));
        let error_uri = query(&target, "error_uri").unwrap();
        assert!(error_uri.starts_with(&server.url("/docs/reference/errors#")), "{error_uri}");
        assert_eq!(page.header("cache-control"), "no-store");
    }
    for (kind, error, words) in [
        ("", "invalid_request", "response_type"),
        ("&response_type=", "invalid_request", "response_type"),
        ("&response_type=token", "unsupported_response_type", "response_type=code"),
        ("&response_type=code+id_token", "unsupported_response_type", "response_type=code"),
    ] {
        let url = server.authorize_url(&client, "").replace("&response_type=code", kind);
        let page = browser.get(&url).await;
        page.assert_refused(REDIRECT_URI, error, words);
        assert_eq!(query(&page.location(), "state"), None);
    }
    assert_eq!(server.rows(), before);
}

#[tokio::test]
async fn s3_for_a_client_that_nobody_approved_an_error_is_a_page_until_somebody_signed_in() {
    let server = Server::start().await;
    let client = unapproved(&server).await;
    let browser = server.browser();
    let with_none = [("&prompt=none", "login_required", "not signed in")];
    for (fault, _, words) in FAULTS.into_iter().chain(with_none) {
        let page = browser.get(&server.authorize_url(&client, &format!("&state=s{fault}"))).await;
        page.assert_page(400, words);
        assert!(!page.text.contains("mycompany.com"), "{fault}: {}", page.text);
    }
    let page = browser.get(&server.authorize_url(&client, "")).await;
    browser.sign_in(&page).await;
    let with_none = [("&prompt=none", "consent_required", "consent")];
    for (fault, error, words) in FAULTS.into_iter().chain(with_none) {
        let page = browser.get(&server.authorize_url(&client, &format!("&state=s{fault}"))).await;
        page.assert_refused(REDIRECT_URI, error, words);
        assert_eq!(query(&page.location(), "state").as_deref(), Some("s"));
    }
}

#[tokio::test]
async fn s3_deny_redirects_for_an_unapproved_client_only_after_sign_in() {
    let server = Server::start().await;
    let client = unapproved(&server).await;
    let browser = server.browser();
    let page = browser.get(&server.authorize_url(&client, "&state=s")).await;
    let token = page.hidden("csrf_token");
    let deny = format!("csrf_token={token}&step=consent&decision=deny");
    let posted = browser.post(page.url.as_str(), &[], deny.clone()).await;
    assert_eq!(posted.leaves(), None, "{}", posted.location());
    let silent = server.authorize_url(&client, "&prompt=none");
    browser.post(&silent, &[], deny).await.assert_page(400, "not signed in");

    let page = browser.sign_in(&page).await;
    let page = browser.submit(&page, &[("business", "9765040300495493")]).await;
    let page = browser.get(&page.absolute(&page.location())).await;
    let denied = browser.submit(&page, &[("decision", "deny")]).await;
    denied.assert_refused(REDIRECT_URI, "access_denied", "chose not to allow");
    assert_eq!(server.count("grants"), 0);
}

#[tokio::test]
async fn s3_a_disabled_client_is_a_page_even_with_a_registered_uri_and_a_session() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    browser.allow(&server.authorize_url(&client, "")).await;
    let disabled = server.staging.store.set_client_disabled(Environment::Staging, &client.id, true);
    assert!(disabled.await.unwrap());
    let before = server.rows();
    for more in ["", "&prompt=none", "&scope=admin"] {
        let page = browser.get(&server.authorize_url(&client, more)).await;
        page.assert_page(400, "switched off");
    }
    assert_eq!(server.rows(), before);
}

#[tokio::test]
async fn s4_iss_is_the_base_url_in_a_success_and_nothing_else_stands_there() {
    let server = Server::start().await;
    let client = server.client().await;
    let target = server.browser().allow(&server.authorize_url(&client, "&state=x%20y%23")).await;
    let url = reqwest::Url::parse(&target).unwrap();
    let names: Vec<String> = url.query_pairs().map(|(name, _)| name.into_owned()).collect();
    assert_eq!(names, ["code", "state", "iss"]);
    assert_eq!(query(&target, "iss").as_deref(), Some(server.staging.base_url.as_str()));
    assert_eq!(query(&target, "state").as_deref(), Some("x y#"));
    assert_eq!(url.fragment(), None);
}

#[tokio::test]
async fn s4_what_a_redirect_uri_has_in_its_query_stays_before_ours() {
    let server = Server::start().await;
    let client = client_at(&server, "https://mycompany.com/cb?tenant=1").await;
    let target = server.browser().allow(&server.authorize_url(&client, "&state=s")).await;
    assert!(target.starts_with("https://mycompany.com/cb?tenant=1&code=gr_code_"), "{target}");
    assert_eq!(target.matches('?').count(), 1);
}

#[tokio::test]
async fn s5_a_repeated_or_array_like_parameter_is_invalid_request_and_named() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    for (tail, name, state) in [
        ("&state=s&scope=orders-api&scope=orders-api", "scope", Some("s")),
        ("&state=s&scope[]=orders-api", "scope", Some("s")),
        ("&state=s&scope%5B0%5D=orders-api", "scope", Some("s")),
        ("&state=s&response_type=code", "response_type", Some("s")),
        ("&state=s&prompt[none]=1", "prompt", Some("s")),
        ("&state=s&unheard_of=1&unheard_of=2", "unheard_of", Some("s")),
        ("&state=s&scope=%ff", "scope", Some("s")),
        ("&state=s&scope=%zz", "scope", Some("s")),
        ("&state=s&login_hint=a%00b", "login_hint", Some("s")),
        // Which of the two was meant nobody knows, so neither goes back.
        ("&state=s&state=t", "state", None),
        ("&state=s&state[]=t", "state", None),
    ] {
        let page = browser.get(&server.authorize_url(&client, tail)).await;
        page.assert_refused(REDIRECT_URI, "invalid_request", &format!("'{name}'"));
        assert_eq!(query(&page.location(), "state").as_deref(), state, "{tail}");
    }
    assert_eq!(server.rows(), [0, 0, 0]);
}

#[tokio::test]
async fn s6_who_has_to_use_pkce_cannot_leave_it_out_or_weaken_it() {
    let server = Server::start().await;
    let public = server.client_with(Environment::Staging, |client| client.secret = None).await;
    let bound = server
        .client_with(Environment::Staging, |client| {
            client.settings = ClientSettings { pkce_required: true, ..client.settings };
        })
        .await;
    let browser = server.browser();
    for client in [&public, &bound] {
        for (tail, words) in [
            (String::new(), "has to use PKCE"),
            ("&code_challenge=&code_challenge_method=".to_owned(), "has to use PKCE"),
            (CHALLENGE.to_owned(), "S256"),
            (format!("{CHALLENGE}&code_challenge_method=plain"), "S256"),
            (format!("{CHALLENGE}&code_challenge_method=s256"), "S256"),
            (format!("{CHALLENGE}&code_challenge_method=S512"), "S256"),
            (format!("{CHALLENGE}=&code_challenge_method=S256"), "code_challenge"),
            ("&code_challenge_method=S256".to_owned(), "code_challenge"),
        ] {
            let page = browser.get(&server.authorize_url(client, &tail)).await;
            page.assert_refused(REDIRECT_URI, "invalid_request", words);
        }
        let whole = format!("{CHALLENGE}&code_challenge_method=S256");
        let page = browser.get(&server.authorize_url(client, &whole)).await;
        page.assert_page(200, "Sign in");
    }
    // Who need not use it cannot use it weakly either.
    let free = server.client().await;
    for tail in [CHALLENGE.to_owned(), format!("{CHALLENGE}&code_challenge_method=plain")] {
        let page = browser.get(&server.authorize_url(&free, &tail)).await;
        page.assert_refused(REDIRECT_URI, "invalid_request", "S256");
    }
    assert_eq!(server.rows(), [0, 0, 0]);
}

#[track_caller]
fn assert_closed(page: &Page) {
    assert!(page.headers.keys().all(|name| !name.as_str().starts_with("access-control-")));
    assert!(page.header("content-security-policy").contains("frame-ancestors 'none'"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("x-request-id").len(), 16);
}

#[tokio::test]
async fn s7_every_answer_is_closed_to_other_origins_frames_caches_and_referrers() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    let url = server.authorize_url(&client, "&state=s");
    let origin = [("Origin", "https://evil.example"), ("Sec-Fetch-Mode", "cors")];
    let sign_in = browser.get_with(&url, &origin).await;
    let businesses = browser.sign_in(&sign_in).await;
    let chosen = browser.submit(&businesses, &[("business", "9765040300495493")]).await;
    let consent = browser.get(&chosen.absolute(&chosen.location())).await;
    let allowed = browser.submit(&consent, &[("decision", "allow")]).await;
    let silent = browser.get_with(&url, &origin).await;
    allowed.assert_code(REDIRECT_URI);
    silent.assert_code(REDIRECT_URI);
    let unproved = browser.get_with(&url.replace("ikentoo", "x"), &origin).await;
    let refused = browser.get_with(&format!("{url}&scope=admin"), &origin).await;
    let expired = browser.post(&url, &origin, "").await;
    let prefetched = browser.get_with(&url, &[("Sec-Purpose", "prefetch")]).await;
    for page in [
        &sign_in,
        &businesses,
        &chosen,
        &consent,
        &allowed,
        &silent,
        &unproved,
        &refused,
        &expired,
        &prefetched,
    ] {
        assert_closed(page);
        for third_party in ["<script", "src=", "<iframe", "<link rel=\"stylesheet\" href=\"http"] {
            assert!(!page.text.contains(third_party), "{third_party}: {}", page.text);
        }
    }
}

#[tokio::test]
async fn s7_a_preflight_is_refused_like_every_other_method() {
    let server = Server::start().await;
    let client = server.client().await;
    let url = server.authorize_url(&client, "");
    for method in ["OPTIONS", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "QUERY"] {
        let request = server
            .browser()
            .http
            .request(Method::from_bytes(method.as_bytes()).unwrap(), &url)
            .header("Origin", "https://evil.example")
            .header("Access-Control-Request-Method", "POST");
        let page = Page::read(request.send().await.unwrap()).await;
        assert_eq!(page.status, 405, "{method}");
        assert_eq!(page.header("allow"), "GET, HEAD, POST", "{method}");
        assert_eq!(page.header("location"), "");
        assert_closed(&page);
    }
    assert_eq!(server.rows(), [0, 0, 0]);
}

#[tokio::test]
async fn s8_a_prefetch_never_makes_a_code_even_with_a_session_and_a_consent() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    let url = server.authorize_url(&client, "&state=s");
    browser.allow(&url).await;
    let before = server.rows();
    for header in [
        ("Sec-Purpose", "prefetch"),
        ("Sec-Purpose", "prefetch;prerender"),
        ("Sec-Purpose", "prefetch;anonymous-client-ip"),
        ("Sec-Purpose", "Prefetch"),
        ("Purpose", "prefetch"),
        ("Purpose", "preview"),
        ("X-Purpose", "preview"),
        ("X-Moz", "prefetch"),
    ] {
        let page = browser.get_with(&url, &[header]).await;
        assert_eq!(page.status, 503, "{header:?}");
        assert_eq!(page.header("location"), "", "{header:?}");
        assert_eq!(page.header("cache-control"), "no-store");
    }
    assert_eq!(server.rows(), before);
    // The same browser, when its user really comes.
    browser.get(&url).await.assert_code(REDIRECT_URI);
    assert_eq!(server.rows(), [before[0] + 1, before[1], before[2]]);
}

#[tokio::test]
async fn s8_head_answers_and_never_makes_a_code() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    let url = server.authorize_url(&client, "&state=s");
    let head = |url: String| {
        let request = browser.http.head(url);
        async { Page::read(request.send().await.unwrap()).await }
    };
    let page = head(url.clone()).await;
    assert_eq!((page.status.as_u16(), page.text.as_str()), (200, ""));
    browser.allow(&url).await;
    let before = server.rows();
    let page = head(url.clone()).await;
    assert_eq!((page.status.as_u16(), page.location().as_str()), (200, ""));
    head(format!("{url}&scope=admin")).await.assert_refused(REDIRECT_URI, "invalid_scope", "");
    assert_eq!(head(url.replace("ikentoo", "x")).await.status, 400);
    assert_eq!(server.rows(), before);
}

#[tokio::test]
async fn s25_links_come_from_the_base_url_whatever_the_request_says_of_hosts() {
    let server = Server::start_with(Settings::default(), false).await;
    let client = server.client().await;
    let browser = server.browser();
    for headers in [
        vec![("Host", "evil.example")],
        vec![("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "https")],
        vec![("Forwarded", "host=evil.example;proto=https")],
        vec![("X-Original-Host", "evil.example"), ("X-Host", "evil.example")],
        vec![("X-Original-URL", "/evil"), ("X-Rewrite-URL", "/evil")],
    ] {
        let page = browser.get_with(&server.authorize_url(&client, ""), &headers).await;
        page.assert_page(200, "Sign in");
        assert!(!page.text.contains("evil"), "{headers:?}: {}", page.text);
        assert!(page.form_action().starts_with("/oauth/authorize?"), "{}", page.form_action());
        assert!(!page.header("set-cookie").contains("Domain"));
        let url = server.authorize_url(&client, "&scope=admin");
        let refused = browser.get_with(&url, &headers).await;
        refused.assert_refused(REDIRECT_URI, "invalid_scope", "admin");
        assert_eq!(query(&refused.location(), "iss"), Some(server.staging.base_url.clone()));
        assert!(!refused.location().contains("evil"), "{headers:?}");
    }
}

#[tokio::test]
async fn s25_dev_refuses_a_host_name_that_is_not_this_machines() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    let url = server.authorize_url(&client, "&scope=admin");
    for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "a@127.0.0.1"]
    {
        let page = browser.get_with(&url, &[("Host", host)]).await;
        assert_eq!(page.status, 421, "{host}");
        assert_eq!(page.header("location"), "", "{host}");
        assert!(!page.text.contains(host));
    }
    let forwarded = browser.get_with(&url, &[("X-Forwarded-Host", "evil.example")]).await;
    assert!(!forwarded.location().contains("evil.example"));
}

#[tokio::test]
async fn bad_input_is_a_clear_error_and_writes_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    let long = "a".repeat(10_000);
    let many: String = (0..70).map(|at| format!("&a{at}")).collect();
    let base = "/oauth/authorize?response_type=code";
    let (id, uri) = (&client.id, encode(REDIRECT_URI));
    let proved = format!("{base}&client_id={id}&redirect_uri={uri}");
    for (path, status, words) in [
        ("/oauth/authorize".to_owned(), 400, "no client_id"),
        ("/oauth/authorize?".to_owned(), 400, "no client_id"),
        ("/oauth/authorize?&&&=&=a&%".to_owned(), 400, "damaged"),
        (format!("{base}&client_id={long}"), 400, "10000 bytes"),
        (format!("{base}&client_id={id}&redirect_uri={long}"), 400, "10000 bytes"),
        (format!("{base}&client_id=%ff&redirect_uri={uri}"), 400, "UTF-8"),
        (format!("{base}&client_id=%C3%28&redirect_uri={uri}"), 400, "UTF-8"),
        (format!("{base}&client_id={id}&redirect_uri=%80"), 400, "UTF-8"),
        (format!("{base}{many}&client_id={id}&redirect_uri={uri}"), 400, "more than 64"),
        (format!("{base}&client_id={id}{many}&redirect_uri={uri}"), 400, "more than 64"),
        (format!("{proved}&state={long}"), 303, "10000 bytes"),
        (format!("{proved}&scope={long}"), 303, "10000 bytes"),
        (format!("{proved}&{long}=1"), 303, "name of a parameter"),
        (format!("{proved}&%ff=1"), 303, "name of a parameter"),
        (format!("{proved}&state=%ff"), 303, "UTF-8"),
        (format!("{proved}{many}"), 303, "more than 64"),
        (format!("{proved}&scope={}", "a+".repeat(1000)), 303, ""),
    ] {
        let answers = [
            browser.get(&server.url(&path)).await,
            browser.post(&server.url(&path), &[], "").await,
        ];
        for page in answers {
            match status {
                303 => {
                    let target = page.location();
                    let error = query(&target, "error").unwrap_or_else(|| panic!("{}", page.text));
                    page.assert_refused(REDIRECT_URI, &error, words);
                    assert!(target.len() < 1000, "{target}");
                }
                status => page.assert_page(status, words),
            }
        }
    }
    assert_eq!(server.rows(), [0, 0, 0]);
}

#[tokio::test]
async fn bad_input_a_query_in_raw_utf8_comes_back_encoded_at_each_step() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    let page = browser.get(&server.authorize_url(&client, "")).await;
    // Browsers encode a query; other programs may not.
    let path = format!(
        "/oauth/authorize?client_id={}&response_type=code&redirect_uri={REDIRECT_URI}&state=caf\u{e9}",
        client.id
    );
    let host = server.staging.base_url.strip_prefix("http://").unwrap();
    let answer = raw(host, &format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n"), "").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("state=caf%C3%A9"), "{answer}");
    let body = format!(
        "step=sign_in&csrf_token={}&email=customer%40demo.example&password={}",
        page.hidden("csrf_token"),
        grantor::demo::PASSWORD
    );
    let cookie = page.header("set-cookie").split(';').next().unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\n");
    let answer = raw(host, &head, &body).await;
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
    assert!(answer.to_lowercase().contains("state=caf%c3%a9&progress="), "{answer}");
}

#[tokio::test]
async fn bad_input_what_is_no_http_request_of_ours_is_refused_by_its_head() {
    let server = Server::start().await;
    let host = server.staging.base_url.strip_prefix("http://").unwrap();
    let huge = format!("GET /oauth/authorize?{} HTTP/1.1\r\nHost: {host}\r\n", "a".repeat(40_000));
    let answer = raw(host, &huge, "").await;
    assert!(answer.starts_with("HTTP/1.1 414") || answer.starts_with("HTTP/1.1 431"), "{answer}");
    for target in ["/oauth/authorize?client_id=<b>", "/oauth/authorize?\u{1}"] {
        let answer = raw(host, &format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n"), "").await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(!answer.contains("<b>"), "{answer}");
    }
    let absolute = "GET http://evil.example/oauth/authorize HTTP/1.1\r\nHost: 127.0.0.1\r\n";
    let answer = raw(host, absolute, "").await;
    assert!(answer.starts_with("HTTP/1.1 421"), "{answer}");
    let two = format!("GET / HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n");
    let answer = raw(host, &two, "").await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[tokio::test]
async fn bad_input_a_body_of_any_kind_is_refused_and_writes_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    let browser = server.browser();
    let url = server.authorize_url(&client, "");
    let page = browser.get(&url).await;
    let token = page.hidden("csrf_token");
    let large = format!("csrf_token={token}&step=sign_in&email={}", "a".repeat(70_000));
    browser.post(&url, &[], large).await.assert_page(413, "too large");
    let json = format!("{{\"csrf_token\":\"{token}\",\"step\":\"sign_in\"}}");
    for (content_type, body) in [
        ("", String::new()),
        ("", "step=sign_in".to_owned()),
        ("application/json", json),
        ("text/plain", format!("csrf_token=\"{token}\"")),
        ("multipart/form-data; boundary=x", format!("--x\r\n\r\n{token}\r\n--x--")),
        ("application/x-www-form-urlencoded", format!("csrf_token={token}&csrf_token={token}")),
        ("application/x-www-form-urlencoded", format!("csrf_token[]={token}")),
        ("application/x-www-form-urlencoded", format!("csrf_token={token}&step=")),
        ("application/x-www-form-urlencoded", format!("csrf_token={token}&step=issue")),
        (
            "application/x-www-form-urlencoded",
            format!("csrf_token={token}&step=consent&step=consent"),
        ),
        ("application/x-www-form-urlencoded", format!("csrf_token={token}&step=businesses")),
        ("application/x-www-form-urlencoded", "%ff=%ff&%".to_owned()),
        ("application/x-www-form-urlencoded", "\u{0}\u{1}".to_owned()),
    ] {
        let headers = [("Content-Type", content_type)];
        let headers = if content_type.is_empty() { &headers[..0] } else { &headers[..] };
        let page = browser.post(&url, headers, body.clone()).await;
        page.assert_page(400, "Nothing was shared");
        assert!(page.text.contains("Try again"), "{body}");
    }
    assert_eq!(server.rows(), [0, 0, 0]);
}

#[tokio::test]
async fn s22_names_from_strangers_are_escaped_on_every_page_of_the_flow() {
    let server = Server::start().await;
    let hostile = "</title><script>alert(1)</script>\u{202e}\"'";
    let client = server
        .client_with(Environment::Staging, |client| {
            client.name = hostile.to_owned();
            client.website = Some("javascript:alert(1)".to_owned());
            client.scopes = Scope::parse("<script> financial-api").unwrap();
        })
        .await;
    let browser = server.browser();
    let hint = "&login_hint=%22%20autofocus%20onfocus%3Dalert(1)%20x%3D%22";
    let sign_in = browser.get(&server.authorize_url(&client, hint)).await;
    assert!(sign_in.text.contains("value=\"&#34; autofocus onfocus"), "{}", sign_in.text);
    let businesses = browser.sign_in(&sign_in).await;
    let chosen = browser.submit(&businesses, &[("business", "9765040300495493")]).await;
    let consent = browser.get(&chosen.absolute(&chosen.location())).await;
    for page in [&sign_in, &businesses, &consent] {
        page.assert_page(200, "</title><script>alert(1)</script>[U+202E]\"'");
        for raw in ["<script>", "</title><", "javascript:", "\u{202e}"] {
            assert!(!page.text.contains(raw), "{raw}: {}", page.text);
        }
    }
    assert!(unescape(&consent.text).contains("Use \u{201c}<script>\u{201d} for you."));
}

#[tokio::test]
async fn a_request_without_a_state_gets_none_and_the_demo_flow_needs_no_more_than_the_guide_says() {
    let server = Server::start().await;
    let target = server.browser().allow(&server.authorize_url(&server.demo_client(), "")).await;
    assert!(target.starts_with(&format!("{DEMO_REDIRECT_URI}?code=gr_code_")), "{target}");
    assert_eq!(query(&target, "state"), None);
    assert_eq!(server.rows(), [1, 1, 1]);
}

/// One request as it stands, and all of its answer.
async fn raw(host: &str, head: &str, body: &str) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(host).await.unwrap();
    let length = body.len();
    let request = format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // A server that refuses a head may close before it has read all of it.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
