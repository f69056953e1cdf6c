//! S28: whatever a program of a partner logs or panics with, no type of ours prints a secret.

use std::fmt::Debug;

use grantor_client::authorization::AuthorizationRequest;
use grantor_client::client::{Client, ClientSecret};
use grantor_client::connection::Connection;
use grantor_client::http::Answer;
use grantor_client::random::Random;
use grantor_client::renewal::RenewalError;
use grantor_client::secret::Secret;
use grantor_client::server::{Preset, Server};
use grantor_client::token;

const CANARY: &str = "canary-0123456789-0123456789";

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, headers: Vec::new(), body: body.to_owned().into() }
}

#[test]
fn s28_nothing_that_prints_prints_a_secret() {
    let whole = format!(
        r#"{{"access_token":"{CANARY}","token_type":"bearer","refresh_token":"{CANARY}"}}"#
    );
    let tokens = token::read(&answer(200, &whole), 0).unwrap();
    let server = Server { pkce: true, ..Preset::KSeriesStaging.server() };
    let request =
        AuthorizationRequest::new(&server, "me", "http://127.0.0.1/", None, &Random::system());
    let (_, state) = request.url().split_once("&state=").unwrap();
    let (state, _) = state.split_once('&').unwrap();
    let code = request.answered(&format!("code={CANARY}&state={state}")).unwrap();
    let client = Client::confidential("me", ClientSecret::new(CANARY.to_owned()));
    let connection = Connection::new("mine".to_owned(), server, &client, tokens.clone(), 0);
    let mut printed = Vec::new();
    let mut print = |what: &dyn Debug| printed.push(format!("{what:?} {what:#?}"));
    for what in
        [&tokens as &dyn Debug, &request, &code, &connection, &Secret::new(CANARY.to_owned())]
    {
        print(what);
    }
    // Answers that cannot be used, and what is said of them.
    for (status, body) in [
        (200, CANARY),
        (200, &whole.replace("bearer", "mac")),
        (200, &whole.replace("bearer", "").replace("token_type", "t")),
        (400, CANARY),
        (500, CANARY),
    ] {
        let error = token::read(&answer(status, body), 0).unwrap_err();
        printed.push(error.to_string());
        let error = RenewalError::NotNow { name: "mine".to_owned(), error, lost: true };
        printed.push(format!("{error} {error:?}"));
    }
    for text in printed {
        assert!(!text.contains(CANARY) && !text.contains(state), "{text}");
    }
}
