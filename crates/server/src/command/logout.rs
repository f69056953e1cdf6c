//! `grantor logout`: ends a connection at the server, and forgets it here.
//!
//! The server comes first: where it does not answer, the connection stays, so that it can be ended
//! later. What is given back is the refresh token, and with it everything that came of it.

use grantor_client::http::Http;
use grantor_client::mistake::Called;
use grantor_client::revocation;

use super::Failure;
use super::kept::{Kept, name_or_latest, token_failure};
use super::output::Output;

/// The arguments of `grantor logout`.
#[derive(clap::Args)]
#[command(after_help = "With --json: {\"connection\",\"changed\"}")]
pub(super) struct Arguments {
    /// The connection; without it the latest one
    name: Option<String>,
    #[command(flatten)]
    kept: Kept,
    #[command(flatten)]
    output: Output,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let connections = arguments.kept.open()?;
    let name = name_or_latest(&connections, arguments.name.as_deref())?;
    // No refresh may turn the token while it is given back.
    let lock = connections.lock(&name).await?;
    let Some(connection) = connections.find(&name)? else {
        return Err(Failure::mendable(format!("there is no connection {name}"))
            .hint("`grantor connections list` shows what there is"));
    };
    let tokens = &connection.tokens;
    let (token, hint) = match &tokens.refresh_token {
        Some(refresh_token) => (refresh_token, "refresh_token"),
        None => (&tokens.access_token, "access_token"),
    };
    let call = revocation::call(&connection.server, &connection.client(), token, hint);
    let Some(call) = call else {
        return Err(Failure::mendable(format!(
            "{} has no address at which a token can be given back",
            connection.server.issuer
        ))
        .hint("the customer can disconnect the app there; `grantor connections forget` removes it here"));
    };
    revocation::revoke(&Http::new(), &call).await.map_err(|error| {
        token_failure(&format!("{name} was not ended"), &error, Called::Revocation)
            .hint("it is kept, so that you can try again; `grantor connections forget` removes it here alone")
    })?;
    let changed = connections.forget(&name, &lock)?;
    let answer = serde_json::json!({ "connection": name, "changed": changed });
    arguments.output.data(&answer, |_| format!("{name} is ended at the server, and forgotten here"))
}
