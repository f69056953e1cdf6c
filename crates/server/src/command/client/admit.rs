//! `grantor client admit`: a token with which clients register themselves.

use aws_lc_rs::digest::{SHA256, digest};
use serde::Serialize;

use super::super::Failure;
use super::super::output::{Output, aligned};
use super::super::place::{In, Opened, Place};
use super::COMMAND;
use crate::store::InitialAccessToken;

const DAY: i64 = 24 * 3600;

#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"environment\",\"initial_access_token\",\"uses\",\"expires_at\"}, with the time in Unix seconds"
)]
pub(super) struct Admit {
    #[command(flatten)]
    environment: In,
    /// How many clients may register with it
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(i64).range(1..=1000))]
    uses: i64,
    /// How long it is good, in days
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = clap::value_parser!(i64).range(1..=365))]
    days: i64,
    /// Whom it is for
    #[arg(long, default_value = "")]
    note: String,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

/// What was made. It does not print twice.
#[derive(Serialize)]
struct Admitted {
    environment: &'static str,
    initial_access_token: String,
    uses: i64,
    expires_at: i64,
}

impl Admit {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let opened = self.place.open().await?;
        let Opened { store, clock, random } = &opened;
        let environment = self.environment.environment;
        let (token, now) = (random.secret(), clock.now());
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        let made = InitialAccessToken {
            environment,
            id: random.id(clock),
            digest: bytes,
            note: self.note,
            uses: self.uses,
            expires_at: now + self.days * DAY,
        };
        let detail = format!("{} on {environment}, for: {}", made.uses, made.note);
        let act = opened.act(COMMAND, "registration.admitted", detail);
        if !store.add_initial_access_token(&made, &act).await? {
            return Err(Failure::unexplained("the token was not added"));
        }
        self.output
            .say("It is shown this once. Send it as Authorization: Bearer to /oauth/register.");
        let admitted = Admitted {
            environment: environment.as_str(),
            initial_access_token: token,
            uses: made.uses,
            expires_at: made.expires_at,
        };
        self.output.data(&admitted, |admitted| {
            aligned(&[
                ("environment", admitted.environment.to_owned()),
                ("initial_access_token", admitted.initial_access_token.clone()),
                ("uses", admitted.uses.to_string()),
            ])
        })
    }
}
