//! `grantor api`: one call of the API, with the token of a connection.
//!
//! The token goes to the API of that connection and nowhere else: what is typed is a path. Where the API
//! refuses a token before its time, it is replaced once.

use std::io::{IsTerminal as _, Read as _};
use std::path::PathBuf;

use bytes::Bytes;
use grantor_client::connection::Connection;
use grantor_client::connections::Connections;
use grantor_client::http::{Answer, Call, Http};
use grantor_client::mistake::{Called, Mistake};

use super::Failure;
use super::kept::{Kept, mistaken, name_or_latest, write};
use super::output::{for_terminal, print};

/// What can be called.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
/// No answer is larger, in bytes.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;
/// No body is larger, in bytes.
const MAX_BODY_BYTES: u64 = 64 * 1024 * 1024;

/// The arguments of `grantor api`.
#[derive(clap::Args)]
#[command(
    after_help = "The body of the answer goes to standard output as it came. Where that is a terminal, control and
direction characters other than line ends and tabs are shown and not obeyed.
Exit code 1 for a status of 400 and more."
)]
pub(super) struct Arguments {
    /// The method
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(METHODS), ignore_case = true)]
    method: String,
    /// The path, and the query, behind the base URL: /f/data/businesses
    path: String,
    /// The connection; without it the latest one
    #[arg(long, value_name = "NAME")]
    connection: Option<String>,
    /// Send this file as a JSON body; - is standard input
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    #[command(flatten)]
    kept: Kept,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    if !arguments.path.starts_with('/') || arguments.path.contains(char::is_whitespace) {
        return Err(Failure::mendable(format!("{:?} is not a path", arguments.path))
            .hint("write what follows the base URL, such as /f/data/businesses; the token goes to the API of the connection alone"));
    }
    let body = arguments.body.as_ref().map(read_body).transpose()?;
    let connections = arguments.kept.open()?;
    let done = done(&connections, &arguments, body).await;
    // A refresh may still be under way.
    connections.leave().await;
    done
}

/// Calls, and writes what the API answers.
async fn done(
    connections: &Connections,
    arguments: &Arguments,
    body: Option<Bytes>,
) -> Result<(), Failure> {
    let name = name_or_latest(connections, arguments.connection.as_deref())?;
    let http = Http::new();
    let mut connection = connections.valid(&http, &name, None).await?;
    let mut answer = call(&http, &connection, arguments, body.clone()).await?;
    if answer.status == 401 {
        let refused = connection.tokens.access_token.clone();
        connection = connections.replace(&http, &name, &refused).await?;
        answer = call(&http, &connection, arguments, body).await?;
    }
    match std::io::stdout().is_terminal() {
        true => print(&for_terminal(&answer.body))?,
        false => write(&[&answer.body])?,
    }
    match answer.status {
        ..400 => Ok(()),
        status => Err(refused(status, &answer)),
    }
}

async fn call(
    http: &Http,
    connection: &Connection,
    arguments: &Arguments,
    body: Option<Bytes>,
) -> Result<Answer, Failure> {
    let method = METHODS.into_iter().find(|known| known.eq_ignore_ascii_case(&arguments.method));
    let url = format!("{}{}", connection.server.api_url, arguments.path);
    let mut call = Call::new(method.unwrap_or("GET"), &url);
    call.takes_at_most(MAX_ANSWER_BYTES);
    let token = connection.tokens.access_token.expose();
    call.header("authorization", &format!("Bearer {token}"));
    if let Some(body) = body {
        call.body("application/json", body);
    }
    call.send(http).await.map_err(|error| {
        let mistake = Mistake::of_http(&error, Called::Api);
        mistaken(&format!("{} was not answered", arguments.path), Some(mistake)).because(&error)
    })
}

fn refused(status: u16, answer: &Answer) -> Failure {
    let failure = Failure::mendable(format!("the API answered {status}"));
    match status {
        // RFC 6750 3.1
        401 => failure.hint(
            "the token is not taken here: `grantor connections show` says for which server it is",
        ),
        403 => {
            let challenge = answer.header("www-authenticate").unwrap_or_default();
            match challenge.contains("insufficient_scope") {
                true => failure.hint(format!("another scope is needed: {challenge}")),
                false => failure.hint("the customer, or the scope, does not reach this"),
            }
        }
        _ => failure,
    }
}

fn read_body(file: &PathBuf) -> Result<Bytes, Failure> {
    let mut body = Vec::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().take(MAX_BODY_BYTES).read_to_end(&mut body)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(MAX_BODY_BYTES).read_to_end(&mut body))
    };
    match read {
        Ok(_) => Ok(body.into()),
        Err(error) => {
            Err(Failure::mendable(format!("{} cannot be read", file.display())).because(&error))
        }
    }
}
