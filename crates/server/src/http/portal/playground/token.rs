//! What an access token opens, and how a connection ends.

use std::net::IpAddr;

use axum::http::StatusCode;

use super::super::fault::Fault;
use super::call::{Call, Caller};
use super::{Player, Taken};
use crate::pages::portal::Held;

/// What the access token opens.
pub(super) async fn look(
    player: &Player,
    held: &mut Held,
    step: &str,
    address: IpAddr,
) -> Result<Taken, Fault> {
    let mut parameters = Vec::new();
    let financial = held.scope.split(' ').any(|scope| scope == "financial-api");
    let (method, path, title) = match step {
        "introspect" => {
            parameters.push(("token", held.access_token.as_str()));
            parameters.extend(player.own_id());
            ("POST", "/oauth/introspect", "Introspection")
        }
        "userinfo" => ("GET", "/oauth/userinfo", "Who the customer is"),
        _ if financial => ("GET", "/f/data/businesses", "A call of the API"),
        _ => ("GET", "/o/op/data/businesses", "A call of the API"),
    };
    let caller = match step {
        "introspect" => player.caller(&held.secret),
        _ => Caller::Token(&held.access_token),
    };
    let call = Call { method, path, caller, parameters, in_query: false, title };
    let answer = call.make(&player.staging, address).await?;
    let words = match (step, answer.status == StatusCode::OK) {
        (_, false) => "It was refused: the answer says why.",
        ("introspect", true) => "Only the client itself, and the API, may ask this.",
        ("userinfo", true) => "The token was allowed to say who the customer is.",
        (_, true) => {
            "The customer’s businesses. Their ids exceed 2^53: read them as 64-bit integers or as \
             text, never as floating-point numbers."
        }
    };
    Ok((title, words.to_owned(), answer))
}

/// Ends it, by its refresh token where there is one.
pub(super) async fn revoke(
    player: &Player,
    held: &mut Held,
    address: IpAddr,
) -> Result<Taken, Fault> {
    let token = match held.refresh_token.is_empty() {
        true => held.access_token.clone(),
        false => held.refresh_token.clone(),
    };
    let mut parameters = vec![("token", token.as_str())];
    parameters.extend(player.own_id());
    let call = Call {
        method: "POST",
        path: "/oauth/revoke",
        caller: player.caller(&held.secret),
        parameters,
        in_query: false,
        title: "The revocation",
    };
    let answer = call.make(&player.staging, address).await?;
    let words = "The connection ended. Call the API or refresh once more to see how that looks to \
                 your server."
        .to_owned();
    Ok(("Revoked", words, answer))
}
