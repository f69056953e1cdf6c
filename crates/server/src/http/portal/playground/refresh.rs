//! The refresh, and what comes of using a refresh token twice.

use std::net::IpAddr;

use axum::http::StatusCode;

use super::super::fault::Fault;
use super::call::{Answer, Call};
use super::{Player, Taken, keep};
use crate::pages::portal::Held;

/// A new pair of tokens for the refresh token.
pub(super) async fn refresh(
    player: &Player,
    held: &mut Held,
    address: IpAddr,
) -> Result<Taken, Fault> {
    let answer = turn(player, held, &held.refresh_token, "The refresh", address).await?;
    if answer.status != StatusCode::OK {
        let words = "The customer has to connect again: begin with step 1.".to_owned();
        return Ok(("The refresh was refused", words, answer));
    }
    keep(held, &answer);
    let words = "A refresh token works once: the new one replaces it. Store it before you answer \
                 anybody, and let one process alone refresh."
        .to_owned();
    Ok(("Refreshed", words, answer))
}

/// The refresh token of before, once more: as a second worker would, or after a lost answer.
pub(super) async fn repeat(
    player: &Player,
    held: &mut Held,
    address: IpAddr,
) -> Result<Taken, Fault> {
    let title = "The same refresh token once more";
    let answer = turn(player, held, &held.former_refresh_token, title, address).await?;
    if answer.status != StatusCode::OK {
        held.access_token = String::new();
        let words = "It was used long ago, and its successor too: that looks like a thief, so the \
                     whole connection ended. The customer has to connect again."
            .to_owned();
        return Ok(("Used twice: the connection ended", words, answer));
    }
    let same = answer.text("refresh_token") == held.refresh_token;
    held.access_token = answer.text("access_token").to_owned();
    held.refresh_token = answer.text("refresh_token").to_owned();
    let words = match same {
        true => {
            "The refresh token in the answer is the same as before: a repeat shortly after the \
                 first time gives the same successor, so a lost answer and two workers end well. \
                 Wait, or use the successor first, and the same repeat ends the connection."
                .to_owned()
        }
        false => "A repeat was answered.".to_owned(),
    };
    Ok(("Used twice, and forgiven", words, answer))
}

async fn turn(
    player: &Player,
    held: &Held,
    refresh_token: &str,
    title: &'static str,
    address: IpAddr,
) -> Result<Answer, Fault> {
    let mut parameters = vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    parameters.extend(player.own_id());
    let call = Call {
        method: "POST",
        path: "/oauth/token",
        caller: player.caller(&held.secret),
        parameters,
        in_query: false,
        title,
    };
    call.make(&player.staging, address).await
}
