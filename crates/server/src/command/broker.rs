//! `grantor broker`: tokens for other programs of this machine.

use std::net::SocketAddr;
use std::path::PathBuf;

use grantor_client::broker::Broker;
use grantor_client::connections::Connections;
use grantor_client::http::Http;
use grantor_client::random::Random;
use serde_json::{Value, json};

use super::Failure;
use super::kept::Kept;
use super::output::{print, say};
use crate::listener::asked_to_stop;

/// The arguments of `grantor broker`.
#[derive(clap::Args)]
#[command(
    after_help = "It prints one line of JSON once it is ready: {\"socket\"} or {\"url\",\"key_file\"}.\n\
                  GET /token answers as `grantor token --output json`; /token?connection=NAME names one."
)]
pub(super) struct Arguments {
    /// The Unix socket, for this user alone; without it broker.sock in the folder of connections
    #[arg(long, value_name = "PATH", conflicts_with = "listen")]
    socket: Option<PathBuf>,
    /// Listen on this loopback address instead, with a key; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    kept: Kept,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let connections = arguments.kept.open()?;
    let stop = asked_to_stop()?;
    let (broker, ready) = match arguments.listen {
        Some(address) => on_loopback(connections, address).await?,
        None => on_socket(connections, arguments.socket).await?,
    };
    print(&ready.to_string())?;
    say("The broker is ready. Ctrl-C stops it.");
    broker.serve_until(stop).await;
    Ok(())
}

async fn on_socket(
    connections: Connections,
    socket: Option<PathBuf>,
) -> Result<(Broker, Value), Failure> {
    let path = socket.unwrap_or_else(|| connections.folder().join("broker.sock"));
    let broker = Broker::on_socket(connections, Http::new(), &path).await;
    let broker = broker.map_err(|error| not_here(&path.display().to_string(), &error))?;
    let ready = json!({ "socket": path });
    Ok((broker, ready))
}

async fn on_loopback(
    connections: Connections,
    address: SocketAddr,
) -> Result<(Broker, Value), Failure> {
    let key_file = connections.folder().join("broker.json");
    let random = Random::system();
    let drawn = (key_file.as_path(), &random);
    let broker = Broker::on_loopback(connections, Http::new(), address, drawn).await;
    let broker = broker.map_err(|error| not_here(&address.to_string(), &error))?;
    let url = broker.address().map(|address| format!("http://{address}"));
    let ready = json!({ "url": url, "key_file": key_file });
    Ok((broker, ready))
}

fn not_here(place: &str, error: &std::io::Error) -> Failure {
    Failure::mendable(format!("the broker cannot listen on {place}"))
        .because(error)
        .hint("where a broker runs already, ask that one; --socket or --listen names another place")
}
