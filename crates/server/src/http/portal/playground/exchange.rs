//! Steps 3 to 7: the code for tokens, as the guide sends it or as it should be.

use std::net::IpAddr;

use axum::http::StatusCode;

use super::super::fault::Fault;
use super::call::Call;
use super::state::Begun;
use super::{Player, Taken, callback_uri, keep};
use crate::pages::portal::Held;

/// Makes it.
pub(super) async fn exchange(
    player: &Player,
    held: &mut Held,
    way: Option<&str>,
    address: IpAddr,
) -> Result<Taken, Fault> {
    let site = player.site();
    let browser = player.by.visit.browser.digest();
    let begun = Begun::of(site, browser, Some(&held.state)).await;
    let begun = begun.ok().filter(|begun| begun.client_id == player.client_id());
    let begun = begun.ok_or(Fault::FormExpired)?;
    let as_guide = way == Some("guide");
    let (code, redirect_uri) = (held.code.clone(), callback_uri(site));
    let verifier = begun.verifier(site);
    let mut parameters = vec![("code", code.as_str()), ("grant_type", "authorization_code")];
    match as_guide {
        true => parameters.push(("client-id", player.client_id())),
        false => parameters.extend(player.own_id()),
    }
    parameters.push(("redirect_uri", &redirect_uri));
    parameters.extend(verifier.as_deref().map(|verifier| ("code_verifier", verifier)));
    let call = Call {
        method: "POST",
        path: "/oauth/token",
        caller: player.caller(&held.secret),
        parameters,
        in_query: as_guide,
        title: "The exchange",
    };
    let answer = call.make(&player.staging, address).await?;
    if answer.status == StatusCode::OK {
        keep(held, &answer);
        held.code = String::new();
        let words = match as_guide {
            true => "The parameters stood in the URL, letter by letter as in the guide. It works, \
                     and URLs end up in logs: put them into the body instead."
                .to_owned(),
            false => "The parameters stood in the body. Keep the refresh token where your server \
                      keeps its secrets, before you use the access token."
                .to_owned(),
        };
        return Ok(("Step 7: a working token", words, answer));
    }
    let words =
        "Nothing was lost: a check that fails burns no code. Mend it and send again, while \
                 the code lives."
            .to_owned();
    Ok(("Step 7: it was refused", words, answer))
}
