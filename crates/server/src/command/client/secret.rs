//! `grantor client add-secret` and `remove-secret`: a new secret works at once beside the old one,
//! so that a partner can change over without a gap. Never three, and never none.

use grantor_protocol::client::ClientSecret;
use serde::Serialize;

use super::super::Failure;
use super::super::output::{Output, aligned};
use super::super::place::Place;
use super::{COMMAND, One, find};

#[derive(clap::Args)]
#[command(after_help = "With --json: {\"environment\",\"client_id\",\"slot\"}")]
pub(super) struct Remove {
    /// The client's id
    #[arg(value_name = "CLIENT_ID")]
    client_id: String,
    /// Which of the two, as `grantor client show` numbers them
    #[arg(long, value_parser = clap::value_parser!(i64).range(1..=2))]
    slot: i64,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

#[derive(Serialize)]
struct Added<'a> {
    environment: &'static str,
    client_id: &'a str,
    client_secret: &'a str,
    slot: i64,
}

#[derive(Serialize)]
struct Removed<'a> {
    environment: &'static str,
    client_id: &'a str,
    slot: i64,
}

pub(super) async fn add(one: One) -> Result<(), Failure> {
    let opened = one.place.open().await?;
    let record = find(&opened, &one.client_id).await?;
    let client = &record.client;
    if client.is_public() {
        return Err(Failure::mendable("a public client has no secret")
            .hint("make a client without --public for an app that can keep one"));
    }
    let secret = ClientSecret::new(opened.random.secret());
    let stored = (secret.digest(), secret.hint());
    let detail = format!("ends in {}", stored.1);
    let act = opened.act_about((COMMAND, "secret.added"), &record, detail);
    // What an operator makes by hand ends by hand.
    let added = opened.store.add_app_secret(&record, (&stored, None), &act).await?;
    let Some(slot) = added else {
        return Err(Failure::mendable("the client has two secrets, and there is never a third")
            .hint(format!("first remove the one that is not used any more: grantor client remove-secret {} --slot 1", client.id))
            .hint("`grantor client show` says when each was last used"));
    };
    let added = Added {
        environment: client.environment.as_str(),
        client_id: &client.id,
        client_secret: secret.expose(),
        slot,
    };
    one.output.data(&added, |added| {
        aligned(&[
            ("client_id", added.client_id.to_owned()),
            ("client_secret", added.client_secret.to_owned()),
            ("slot", added.slot.to_string()),
        ])
    })?;
    one.output.say("The secret is shown this once: keep it now. It works beside the other one.");
    Ok(())
}

impl Remove {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let opened = self.place.open().await?;
        let record = find(&opened, &self.client_id).await?;
        let client = &record.client;
        let found = record.secrets.iter().find(|secret| secret.slot == self.slot);
        let ended = found.map_or_else(String::new, |secret| format!("ended in {}", secret.hint));
        let act = opened.act_about((COMMAND, "secret.removed"), &record, ended);
        // By hand an operator may leave one that ended, too.
        let place = (self.slot, i64::MIN);
        if !opened.store.remove_app_secret(&record, place, &act).await? {
            return Err(match found {
                Some(_) => Failure::mendable(
                    "this is the client's only secret, and it is never without one",
                )
                .hint("add a second one first, or switch the client off: grantor client disable"),
                None => {
                    Failure::mendable(format!("the client has no secret in slot {}", self.slot))
                        .hint("`grantor client show` numbers them")
                }
            });
        }
        let removed = Removed {
            environment: client.environment.as_str(),
            client_id: &client.id,
            slot: self.slot,
        };
        self.output.data(&removed, |removed| {
            format!(
                "removed secret {} of {}; it is not accepted any more",
                removed.slot, removed.client_id
            )
        })
    }
}
