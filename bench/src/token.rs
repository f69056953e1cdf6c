//! `grantor token` with a valid token in store: the whole process, from its start to its end, beside
//! a process that does nothing.
//!
//! Workers in any language call it before each request, so it has to cost next to nothing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use grantor_client::client::Client;
use grantor_client::clock::Clock;
use grantor_client::connection::Connection;
use grantor_client::connections::Connections;
use grantor_client::random::Random;
use grantor_client::secret::Secret;
use grantor_client::server::Preset;
use grantor_client::token::Tokens;

use crate::failure::Failure;
use crate::load::now;
use crate::report::{Target, say};
use crate::server;

/// In milliseconds.
const MOST_MS: f64 = 10.0;
/// Of a partner with many customers; each has a file of its own.
const CONNECTIONS: usize = 100;
/// Longer than any run, in seconds.
const LIFETIME: i64 = 86_400;
/// As long as one that is sealed.
const ACCESS_TOKEN_CHARACTERS: usize = 150;

/// The arguments of `bench token`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How often each is started
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    starts: u32,
    /// On whose disk the connections lie [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// Measures.
pub(crate) async fn run(arguments: &Arguments) -> Result<Vec<Target>, Failure> {
    let program = server::build()?;
    let folder = match &arguments.folder {
        Some(folder) => tempfile::tempdir_in(folder),
        None => tempfile::tempdir(),
    };
    let folder = folder.map_err(Failure::io("no folder for the connections"))?;
    let connections = folder.path().join("connections");
    let kept = keep(&connections).await?;
    let token = || {
        let mut token = Command::new(&program);
        token.arg("token").arg("--connections").arg(&connections);
        // The key lies in a file here; a keyring answers over a bus, in its own time.
        token.env_remove("DBUS_SESSION_BUS_ADDRESS");
        token
    };
    let named = || {
        let mut named = token();
        named.arg("customer-7");
        named
    };
    let (mut latest, mut by_name, mut nothing) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..arguments.starts {
        // In turn, so that all meet the same machine.
        latest.push(timed(token(), &kept)?);
        by_name.push(timed(named(), &kept)?);
        nothing.push(timed(Command::new("true"), "")?);
    }
    let [latest, by_name, nothing] = [latest, by_name, nothing].map(Spread::of);
    let told = [("token", &latest), ("token NAME", &by_name), ("true", &nothing)];
    for (name, Spread { middle, most }) in told {
        say(&format!("{name}: {middle:.2} ms, at most {most:.2} ms"));
    }
    let name = |what: &str| format!("ms, grantor token of {CONNECTIONS} connections, {what}");
    Ok(vec![
        Target::at_most(name("the latest"), MOST_MS, latest.middle),
        Target::at_most(name("by its name"), MOST_MS, by_name.middle),
    ])
}

/// What was measured of one command, in milliseconds.
struct Spread {
    middle: f64,
    most: f64,
}

impl Spread {
    fn of(mut all: Vec<f64>) -> Spread {
        all.sort_by(f64::total_cmp);
        let at = |at: usize| all.get(at).copied().unwrap_or_default();
        Spread { middle: at(all.len() / 2), most: at(all.len().saturating_sub(1)) }
    }
}

/// Keeps connections whose tokens live, and gives the one token that all of them have.
async fn keep(folder: &Path) -> Result<String, Failure> {
    let kept = |error| Failure::said(format!("the connections were not kept: {error}"));
    let clock = Clock::system();
    let connections = Connections::open(folder, &clock, &Random::system()).map_err(kept)?;
    let access_token = "t".repeat(ACCESS_TOKEN_CHARACTERS);
    for number in 0..CONNECTIONS {
        let tokens = Tokens {
            access_token: Secret::new(access_token.clone()),
            expires_at: clock.now() + LIFETIME,
            refresh_token: Some(Secret::new("r".repeat(ACCESS_TOKEN_CHARACTERS))),
            scope: Some("financial-api orders-api".to_owned()),
        };
        let (name, server) = (format!("customer-{number}"), Preset::KSeriesStaging.server());
        let client = Client::public("a-client");
        let connection = Connection::new(name.clone(), server, &client, tokens, clock.now());
        let lock = connections.lock(&name).await.map_err(kept)?;
        connections.keep(&connection, &lock).map_err(kept)?;
    }
    Ok(access_token)
}

/// Runs a command to its end, in milliseconds. It has to say just that.
fn timed(mut command: Command, expected: &str) -> Result<f64, Failure> {
    let named = format!("{} was not run", command.get_program().display());
    command.stdin(Stdio::null()).stderr(Stdio::inherit());
    let begin = now();
    let output = command.output().map_err(Failure::io(named.clone()))?;
    let took = begin.elapsed().as_secs_f64() * 1e3;
    match output.status.success() && output.stdout.trim_ascii_end() == expected.as_bytes() {
        true => Ok(took),
        false => Err(Failure::said(format!("{named} to a good end"))),
    }
}
