//! `grantor connections`: what is connected on this machine. Nothing secret is ever shown.

use grantor_client::connection::Connection;
use serde::Serialize;

use super::kept::{Kept, name_or_latest};
use super::output::{Output, aligned, table, time};
use super::{Failure, prompt};

/// The arguments of `grantor connections`.
#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// List them, the latest first
    #[command(after_help = "With --json: {\"connections\":[…]}, each as `show` answers it")]
    List {
        #[command(flatten)]
        kept: Kept,
        #[command(flatten)]
        output: Output,
    },
    /// Show one
    #[command(
        after_help = "With --json: {\"connection\",\"issuer\",\"api_url\",\"client_id\",\"scope\",\"state\",\"ended_because\",\"expires_at\",\"connected_at\",\"renewed_at\",\"renewable\"}"
    )]
    Show {
        /// Which; without it the latest one
        name: Option<String>,
        #[command(flatten)]
        kept: Kept,
        #[command(flatten)]
        output: Output,
    },
    /// Remove one from this machine, and tell the server nothing
    #[command(after_help = "With --json: {\"connection\",\"changed\"}")]
    Forget {
        /// Which
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        kept: Kept,
        #[command(flatten)]
        output: Output,
    },
}

/// A connection without its secrets.
#[derive(Serialize)]
struct Shown<'a> {
    connection: &'a str,
    issuer: &'a str,
    api_url: &'a str,
    client_id: &'a str,
    scope: Option<&'a str>,
    state: State,
    ended_because: Option<String>,
    expires_at: i64,
    connected_at: i64,
    renewed_at: i64,
    renewable: bool,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// the access token lives
    Valid,
    /// the next call renews it
    Due,
    /// a refresh was begun and its answer is not on the disk
    UnderWay,
    /// the customer has to connect again
    Ended,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    match arguments.what {
        What::List { kept, output } => list(&kept, output),
        What::Show { name, kept, output } => show(name.as_deref(), &kept, output),
        What::Forget { name, yes, kept, output } => forget(&name, yes, &kept, output).await,
    }
}

fn list(kept: &Kept, output: Output) -> Result<(), Failure> {
    let connections = kept.open()?;
    let (all, now) = (connections.all()?, connections.clock().now());
    if all.is_empty() {
        output.say("Nothing is connected. `grantor connect` connects.");
    }
    let shown: Vec<Shown<'_>> = all.iter().map(|one| Shown::of(one, now)).collect();
    output.data(&serde_json::json!({ "connections": shown }), |_| {
        let row = |one: &Shown<'_>| {
            vec![
                one.connection.to_owned(),
                one.state.words().to_owned(),
                time(one.expires_at),
                one.scope.unwrap_or_default().to_owned(),
            ]
        };
        table(&["CONNECTION", "STATE", "TOKEN UNTIL", "SCOPE"], shown.iter().map(row).collect())
    })
}

fn show(name: Option<&str>, kept: &Kept, output: Output) -> Result<(), Failure> {
    let connections = kept.open()?;
    let name = name_or_latest(&connections, name)?;
    let Some(connection) = connections.find(&name)? else {
        return Err(unknown(&name));
    };
    let shown = Shown::of(&connection, connections.clock().now());
    output.data(&shown, |shown| {
        let mut pairs = vec![
            ("connection", shown.connection.to_owned()),
            ("issuer", shown.issuer.to_owned()),
            ("API", shown.api_url.to_owned()),
            ("client id", shown.client_id.to_owned()),
            ("scope", shown.scope.unwrap_or("not said").to_owned()),
            ("state", shown.state.words().to_owned()),
            ("token until", time(shown.expires_at)),
            ("connected", time(shown.connected_at)),
            ("renewed", time(shown.renewed_at)),
            ("renewable", if shown.renewable { "yes" } else { "no" }.to_owned()),
        ];
        if let Some(why) = &shown.ended_because {
            pairs.push(("because", why.clone()));
        }
        aligned(&pairs)
    })
}

async fn forget(name: &str, yes: bool, kept: &Kept, output: Output) -> Result<(), Failure> {
    let connections = kept.open()?;
    if connections.find(name)?.is_none() {
        return Err(unknown(name));
    }
    let question =
        format!("Forget {name}? The server goes on taking its tokens; `grantor logout` ends them.");
    prompt::confirm(&question, yes)?;
    let lock = connections.lock(name).await?;
    let changed = connections.forget(name, &lock)?;
    let answer = serde_json::json!({ "connection": name, "changed": changed });
    output.data(&answer, |_| format!("{name} is forgotten"))
}

fn unknown(name: &str) -> Failure {
    Failure::mendable(format!("there is no connection {name}"))
        .hint("`grantor connections list` shows what there is")
}

impl<'a> Shown<'a> {
    fn of(connection: &'a Connection, now: i64) -> Shown<'a> {
        Shown {
            connection: &connection.name,
            issuer: &connection.server.issuer,
            api_url: &connection.server.api_url,
            client_id: &connection.client_id,
            scope: connection.tokens.scope.as_deref(),
            state: State::of(connection, now),
            ended_because: connection.ended.as_ref().map(ToString::to_string),
            expires_at: connection.tokens.expires_at,
            connected_at: connection.connected_at,
            renewed_at: connection.renewed_at,
            renewable: connection.ended.is_none() && connection.tokens.refresh_token.is_some(),
        }
    }
}

impl State {
    fn of(connection: &Connection, now: i64) -> State {
        if connection.ended.is_some() {
            State::Ended
        } else if connection.under_way_since.is_some() {
            State::UnderWay
        } else if connection.is_valid_for(0, now) {
            State::Valid
        } else {
            State::Due
        }
    }

    fn words(self) -> &'static str {
        match self {
            State::Valid => "valid",
            State::Due => "to be renewed",
            State::UnderWay => "being renewed",
            State::Ended => "ended",
        }
    }
}
