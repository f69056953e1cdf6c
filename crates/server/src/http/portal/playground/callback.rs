//! The second step: the code arrives at the portal.

use axum::body::Body;
use axum::extract::RawQuery;
use axum::http::{Response, StatusCode};
use grantor_protocol::parameters::Parameters;

use super::super::fault::Fault;
use super::super::visit::{SignedIn, Visit};
use super::state::{Begun, StateFault};
use super::{Player, Shown};
use crate::pages::portal::{Check, Held, RawCall, RawPart, ToldPage};

/// Catches it.
pub(in crate::http::portal) async fn callback(
    visit: Visit,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let Some(person) = visit.person.clone() else {
        // The code is not carried through the sign-in: it would be dead by then.
        return Err(Fault::SignIn { next: "/apps".to_owned() });
    };
    let query = query.unwrap_or_default();
    let parameters = Parameters::parse(query.as_bytes());
    let browser = visit.browser.digest();
    let begun = match Begun::of(&visit.site, browser, parameters.value("state")).await {
        Ok(begun) => begun,
        Err(fault) => return Ok(not_begun_here(&visit, fault)),
    };
    let player = Player::of(SignedIn { visit, person }, &begun.client_id).await?;
    let code = parameters.value("code").unwrap_or_default().to_owned();
    let error = parameters.value("error").unwrap_or_default();
    let issuer = parameters.value("iss").unwrap_or_default();
    let right_issuer = issuer == player.staging.base_url;
    let checks = vec![
        Check { good: true, words: "state is the one that this browser sent.".to_owned() },
        Check {
            good: right_issuer,
            words: format!("iss is {issuer}: the environment that was asked (RFC 9207)."),
        },
    ];
    let (title, words) = match (error, code.is_empty() || !right_issuer) {
        ("", false) => (
            "Step 2: the code is here",
            "The customer allowed it. The code is good for one exchange, within a minute."
                .to_owned(),
        ),
        ("access_denied", _) => (
            "Step 2: the customer said no",
            "Your server thanks them, and lets them go on without the connection.".to_owned(),
        ),
        (error, _) => (
            "Step 2: there is no code",
            format!("{error}: {}", parameters.value("error_description").unwrap_or_default()),
        ),
    };
    let held = Held {
        code: if error.is_empty() && right_issuer { code } else { String::new() },
        state: parameters.value("state").unwrap_or_default().to_owned(),
        ..Held::default()
    };
    let raw = RawCall {
        title: "What the browser brought to your redirect URI".to_owned(),
        request: RawPart {
            line: format!("GET /playground/callback?{query} HTTP/1.1"),
            headers: Vec::new(),
            body: String::new(),
        },
        response: None,
    };
    Ok(player.show(Shown { title, words, checks, raw, held, status: StatusCode::OK }))
}

/// What a partner must not take either: a code that somebody else may have asked for.
fn not_begun_here(visit: &Visit, fault: StateFault) -> Response<Body> {
    let page = ToldPage {
        shell: visit.shell("apps"),
        title: "This callback was not begun here",
        words: format!(
            "{} A partner must not take such a code, so it is not shown. Begin again from the page \
             of your app.",
            fault.words()
        ),
        ways: vec![("/apps".to_owned(), "Your apps")],
    };
    visit.page(StatusCode::CONFLICT, &page)
}
