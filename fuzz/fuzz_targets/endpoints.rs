//! Whole requests, at the routes of a real environment: cookies, `Authorization`, `DPoP`, our own
//! parameters in a URL, and everything else that only `crates/server` reads.
//!
//! An input is a request as it is written, with ends of line alone: a method and a target, headers,
//! an empty line, a body. `{session}` stands for the cookie of a signed-in browser. Nothing in an
//! input can hold a code or a token that lives, so nobody gets anything, and whatever comes:
//!
//! - no answer is a fault of the server;
//! - a browser is sent here, or to what the client registered, and nowhere else;
//! - no API opens, and no token is said to live;
//! - a cookie that is set was drawn here, and nothing that came stands in a page unescaped.

#![no_main]

mod site;

use std::net::Ipv4Addr;
use std::sync::LazyLock;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, Request, Response};
use grantor::http::ClientAddress;
use libfuzzer_sys::fuzz_target;
use site::{BASE_URL, REDIRECT_URI, SESSION, Target};
use tower::ServiceExt as _;

#[expect(clippy::panic, reason = "without it there is nothing to try")]
static TARGET: LazyLock<Target> =
    LazyLock::new(|| Target::start().unwrap_or_else(|error| panic!("no environment: {error}")));

const APIS: [&str; 3] = ["/f/data/businesses", "/o/op/data/businesses", "/oauth/userinfo"];
/// What a stranger would write to have it stand in a page.
const TAG: &[u8] = b"<zq";

fuzz_target!(|bytes: &[u8]| {
    let Some(request) = read(bytes) else { return };
    let path = request.uri().path().to_owned();
    let (head, body) = TARGET.runtime.block_on(async {
        #[expect(clippy::expect_used, reason = "a router has no fault of its own")]
        let answer = TARGET.router.clone().oneshot(request).await.expect("an answer");
        let (head, body) = answer.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
        (Response::from_parts(head, ()), body)
    });
    let status = head.status();
    assert!(!status.is_server_error(), "{status} at {path}");
    assert!(!(APIS.contains(&path.as_str()) && status.is_success()), "{path} opened");
    let active = br#""active":true"#;
    assert!(!contains(&body, active), "a token that nobody was given lives");
    leads_nowhere_else(head.headers());
    sets_no_cookie_of_theirs(head.headers(), bytes);
    shows_nothing_raw(head.headers(), &body);
});

fn read(bytes: &[u8]) -> Option<Request<Body>> {
    let mut rest = bytes;
    let mut line = || {
        let at = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let (line, behind) = rest.split_at(at);
        rest = behind.get(1..).unwrap_or_default();
        line
    };
    let (method, target) = std::str::from_utf8(line()).ok()?.split_once(' ')?;
    // Whoever takes the connection puts this beside each request.
    let caller = ClientAddress(Ipv4Addr::LOCALHOST.into());
    let mut request = Request::builder().method(method).uri(target).extension(caller);
    loop {
        let header = line();
        let Some(at) = header.iter().position(|byte| *byte == b':') else { break };
        let (name, value) = header.split_at(at);
        let value = value.get(1..)?.trim_ascii();
        let value = match std::str::from_utf8(value) {
            Ok(text) => text.replace("{session}", SESSION).into_bytes(),
            Err(_) => value.to_vec(),
        };
        request = request.header(name, value);
    }
    // As hyper takes them: a path, or a whole address.
    let request = request.body(Body::from(Bytes::copy_from_slice(rest))).ok()?;
    request.uri().path().starts_with('/').then_some(request)
}

fn leads_nowhere_else(headers: &HeaderMap) {
    let Some(location) = headers.get(LOCATION) else { return };
    let location = location.to_str().unwrap_or("");
    let within = location.strip_prefix(BASE_URL).unwrap_or(location);
    let here = within.starts_with('/') && !within.starts_with("//") && !within.contains('\\');
    assert!(here || leads_to_client(location).is_some(), "{location}");
}

/// RFC 8252 7.3: on loopback the port is the client's to choose.
fn leads_to_client(location: &str) -> Option<()> {
    let (host, registered) = REDIRECT_URI.rsplit_once(':')?;
    let port =
        |text: &str| text.trim_start_matches(|letter: char| letter.is_ascii_digit()).to_owned();
    let behind = port(location.strip_prefix(host)?.strip_prefix(':')?);
    behind.strip_prefix(port(registered).as_str())?.starts_with(['?', '&']).then_some(())
}

fn sets_no_cookie_of_theirs(headers: &HeaderMap, request: &[u8]) {
    for cookie in headers.get_all(SET_COOKIE) {
        let text = cookie.to_str().unwrap_or("");
        let value = text.split_once('=').and_then(|(_, rest)| rest.split(';').next());
        let value = value.unwrap_or("");
        // 256 random bits, or the end of one.
        assert!(value.len() == 43 || value.is_empty(), "{text}");
        assert!(value.is_empty() || !contains(request, value.as_bytes()), "{text}");
        assert!(text.contains("HttpOnly") && text.contains("SameSite="), "{text}");
    }
}

fn shows_nothing_raw(headers: &HeaderMap, body: &[u8]) {
    let sniffed = headers.get(X_CONTENT_TYPE_OPTIONS).is_none_or(|value| value != "nosniff");
    assert!(body.is_empty() || !sniffed, "a browser may take it for what it is not");
    let is_page =
        headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
    assert!(!is_page || !contains(body, TAG), "a stranger's tag stands in a page");
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
