//! The link that a partner's app opens: where it leads is one of the registered addresses, whatever
//! stands in it, and an error goes nowhere else.

#![no_main]

mod fixtures;

use std::sync::LazyLock;

use fixtures::{REDIRECT_URIS, apis, client};
use grantor_protocol::api::Apis;
use grantor_protocol::authorization_request::{AuthorizationRequest, client_id};
use grantor_protocol::authorize_error::AuthorizeError;
use grantor_protocol::client::Client;
use grantor_protocol::parameters::Parameters;
use libfuzzer_sys::fuzz_target;

static CLIENT: LazyLock<Client> = LazyLock::new(client);
static APIS: LazyLock<Apis> = LazyLock::new(apis);

fuzz_target!(|bytes: &[u8]| {
    let parameters = Parameters::parse(bytes);
    let _ = client_id(&parameters);
    let leads_to = match AuthorizationRequest::parse(&parameters, &CLIENT, &APIS) {
        Ok(request) => {
            assert!(request.scope.is_within(&CLIENT.scopes) && !request.scope.is_empty());
            request.redirect_uri
        }
        Err(AuthorizeError::Redirect { redirect_uri, fault, .. }) => {
            let words = fault.wire().description;
            assert!(words.bytes().all(|byte| matches!(byte, 0x20..=0x7e)), "{words}");
            redirect_uri
        }
        Err(AuthorizeError::Page(fault)) => {
            let _ = fault.words();
            return;
        }
    };
    let target = leads_to.as_str();
    let is_registered = REDIRECT_URIS.contains(&target);
    let is_loopback = target.starts_with("http://127.0.0.1") && target.ends_with("/callback");
    assert!(is_registered || is_loopback, "{target}");
    let with = leads_to.with(&[("code", "a b&c"), ("state", "\r\nx: y")]);
    assert!(with.starts_with(target) && !with.contains(['\r', '\n', ' ']), "{with}");
});
