//! `grantor connect`: from a client id to stored tokens, in one command.
//!
//! 1. find the server: a preset, or what the server says of itself;
//! 2. read the client's secret: standard input, the environment, or a prompt; never the arguments;
//! 3. open the folder of connections: tokens that could not be kept would be lost;
//! 4. send the customer's browser to the authorize URL, by a page that leads there (`connect/page.rs`);
//! 5. catch the redirect on a port of this machine, or take what is pasted (`connect/answer.rs`);
//! 6. exchange the code, and keep the tokens.
//!
//! `--explain` shows each step as the guide numbers them (`connect/explain.rs`).

mod answer;
mod explain;
mod page;

use std::io::IsTerminal as _;
use std::path::Path;
use std::time::Duration;

use grantor_client::authorization::{AuthorizationCode, AuthorizationRequest};
use grantor_client::client::Client;
use grantor_client::clock::Clock;
use grantor_client::connection::Connection;
use grantor_client::connections::{Connections, KeepingError};
use grantor_client::exchange;
use grantor_client::http::{Http, is_allowed};
use grantor_client::loopback::Loopback;
use grantor_client::mistake::{Called, Mistake};
use grantor_client::random::Random;
use grantor_client::server::{DiscoveryError, Preset, Server};
use grantor_client::token::{self, TokenError, Tokens};
use grantor_protocol::client::ClientSecret;
use grantor_protocol::scope::Scope;
use tokio::signal::unix::{SignalKind, signal};

use super::kept::{Form, Kept, mistaken, print_token, token_failure};
use super::output::{aligned, print, say, time};
use super::{Failure, prompt};
use crate::listener::asked_to_stop;
use explain::Explain;

/// What the variable is called that may hold the secret. It is no argument of clap's: then it could be
/// typed, and every process of the machine could read it.
const SECRET_VARIABLE: &str = "GRANTOR_CLIENT_SECRET";

/// How long whoever renews a connection of the same name is waited for while the code waits: it lives for
/// a minute, and at other servers for 15 seconds.
const MAX_WAIT_BEFORE_EXCHANGE: Duration = Duration::from_secs(5);

/// The arguments of `grantor connect`.
#[derive(clap::Args)]
#[command(after_help = "\
The client secret comes from a prompt, from --client-secret-stdin, or from the variable
GRANTOR_CLIENT_SECRET; never from the arguments.
On a terminal it says what it did, otherwise it answers with one line of JSON:
{\"access_token\",\"token_type\",\"expires_in\",\"expires_at\",\"scope\",\"connection\"}
With --no-browser a line of standard error is the authorize URL alone.")]
pub(super) struct Arguments {
    /// A server that is known by name
    #[arg(long, value_name = "NAME",
          value_parser = clap::builder::PossibleValuesParser::new(Preset::ALL.map(Preset::as_str)))]
    preset: Option<String>,
    /// The base URL of a server that describes itself; with --preset, a server of those ways at this URL
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// The base URL of the API, where it is not the server's own
    #[arg(long, value_name = "URL")]
    api: Option<String>,
    /// The client's id
    #[arg(long, value_name = "ID")]
    client_id: String,
    /// The redirect URI, as it was registered. One on this machine is caught; without a port, on a free one
    #[arg(long, value_name = "URI", default_value = "http://127.0.0.1/callback")]
    redirect_uri: String,
    /// A scope to ask for, or several with blanks between them; without it those of the client
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// What the connection is called; without it CLIENT_ID@SERVER
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// The client has no secret
    #[arg(long, conflicts_with = "client_secret_stdin")]
    public: bool,
    /// Read the client secret from the first line of standard input
    #[arg(long)]
    client_secret_stdin: bool,
    /// Open no browser, and write the authorize URL on a line of standard error
    #[arg(long)]
    no_browser: bool,
    /// The program that opens the browser; without it the system's own
    #[arg(long, value_name = "PROGRAM", env = "BROWSER")]
    browser: Option<String>,
    /// For how long the customer is waited for, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    wait_seconds: u64,
    /// How the token is written
    #[arg(long, value_enum, value_name = "FORM")]
    output: Option<Form>,
    /// Show what is done, in the guide's seven steps, with the raw requests and without their secrets
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    kept: Kept,
}

/// A client at a server.
struct Party {
    server: Server,
    client: Client,
    http: Http,
    explain: Explain,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let preset = arguments.preset.as_deref().and_then(Preset::parse);
    let scope = scope(&arguments.scopes, preset)?;
    let http = Http::new();
    let mut server = find(&http, preset, arguments.server.as_deref()).await?;
    match arguments.api.as_deref() {
        Some(api) if !is_allowed(api) => return Err(not_allowed(api)),
        Some(api) => api.trim_end_matches('/').clone_into(&mut server.api_url),
        None => {}
    }
    if let Some(preset) = preset
        && let Some(mistake) = Mistake::of_client_id(&arguments.client_id, preset.environment())
    {
        say(&format!("warning: {}: {}", mistake.words(), mistake.what_to_do()));
    }
    let client = read_client(&arguments, &server)?;
    let connections = arguments.kept.open()?;
    let explain = Explain(arguments.explain);
    let party = Party { server, client, http, explain };
    // A signal ends the wait for the customer, and takes the page of the browser along. Behind it none
    // is obeyed any more: a code that is spent has to bring its tokens, or words on what to do.
    let stop = stopped()?;
    let code = tokio::select! {
        code = party.authorize(connections.folder(), &arguments, scope.as_deref()) => code?,
        () = stop => return Err(Failure::mendable("it was stopped before it was connected")),
    };
    let name = arguments.name.clone().unwrap_or_else(|| party.usual_name());
    let connected = party.connect(&connections, name, &code).await?;
    answer(&connected, arguments.output)
}

/// Is done when somebody asks this process to end, or closes its terminal.
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    let stop = asked_to_stop()?;
    let mut hung_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            () = stop => {}
            _ = hung_up.recv() => {}
        }
    })
}

/// The scope to ask for, where there is one; what is plainly wrong is said before anybody signs in.
fn scope(scopes: &[String], preset: Option<Preset>) -> Result<Option<String>, Failure> {
    let joined = scopes.join(" ");
    if let Some(mistake) = Mistake::of_scope(&joined) {
        return Err(mistaken(&format!("--scope {joined}"), Some(mistake)));
    }
    let wrong = || mistaken("--scope", Some(Mistake::Scope));
    let asked = Scope::parse(&joined).map_err(|_| wrong())?;
    let own = Scope::parse(preset.and_then(Preset::scope).unwrap_or_default()).unwrap_or_default();
    let all = asked.union(&own);
    Ok((!all.is_empty()).then(|| all.iter().collect::<Vec<_>>().join(" ")))
}

async fn find(http: &Http, preset: Option<Preset>, url: Option<&str>) -> Result<Server, Failure> {
    match (preset, url) {
        (Some(_), Some(url)) if !is_allowed(url) => Err(not_allowed(url)),
        (Some(preset), Some(url)) => Ok(preset.at(url)),
        (Some(preset), None) => Ok(preset.server()),
        (None, None) => Err(Failure::mendable("no server is named").hint(
            "--server URL names one that describes itself, --preset NAME one that is known by name",
        )),
        (None, Some(url)) => Server::discover(http, url).await.map_err(|error| match &error {
            DiscoveryError::NotHttps { url } => not_allowed(url),
            DiscoveryError::Http(cause) => {
                let mistake = Mistake::of_http(cause, Called::Discovery);
                mistaken(&format!("{url} was not found out about"), Some(mistake)).because(cause)
            }
            DiscoveryError::NoMetadata { .. } => Failure::mendable(error.to_string())
                .hint(Mistake::NotOAuth.what_to_do())
                .hint("a server without metadata is known by --preset"),
            DiscoveryError::Malformed { .. } | DiscoveryError::OtherIssuer { .. } => {
                Failure::mendable(error.to_string())
                    .hint("give --server as the server names itself, its issuer")
            }
        }),
    }
}

fn not_allowed(url: &str) -> Failure {
    Failure::mendable(format!("{url} is neither https nor on this machine"))
        .hint("a secret goes by https alone")
}

fn read_client(arguments: &Arguments, server: &Server) -> Result<Client, Failure> {
    let id = arguments.client_id.clone();
    if arguments.public {
        if !server.pkce {
            say(
                "warning: this server is not known to take PKCE, which a client without a secret needs",
            );
        }
        return Ok(Client::public(id));
    }
    let from_environment = || std::env::var_os(SECRET_VARIABLE).filter(|value| !value.is_empty());
    let secret = if arguments.client_secret_stdin {
        prompt::secret("Client secret:")?.to_string()
    } else if let Some(value) = from_environment() {
        value
            .into_string()
            .map_err(|_| Failure::mendable(format!("{SECRET_VARIABLE} is no text")))?
    } else if std::io::stdin().is_terminal() {
        prompt::secret("Client secret:")?.to_string()
    } else {
        return Err(Failure::mendable("there is no client secret, and nobody to ask for it").hint(
            format!("pipe it in with --client-secret-stdin, set {SECRET_VARIABLE}, or say --public for a client without one"),
        ));
    };
    if Mistake::of_secret(&secret).is_some() {
        say(
            "warning: there are blanks or quotes around the client secret; they are sent with it, and most servers refuse it",
        );
    }
    Ok(Client::confidential(id, ClientSecret::new(secret)))
}

impl Party {
    /// What the connection is called where nobody says otherwise.
    fn usual_name(&self) -> String {
        Connection::usual_name(self.client.id(), &self.server)
    }

    /// From a code to tokens on the disk.
    async fn connect(
        &self,
        connections: &Connections,
        name: String,
        code: &AuthorizationCode,
    ) -> Result<Connection, Failure> {
        // Before the code is spent: tokens that cannot be kept would be lost. But a code does not live
        // long. Whoever goes on renewing the connection of this name is waited for behind the exchange,
        // and written over.
        let early = tokio::time::timeout(MAX_WAIT_BEFORE_EXCHANGE, connections.lock(&name)).await;
        let early = early.ok().transpose()?;
        let tokens = self.exchange(code).await?;
        let lock = match early {
            Some(lock) => lock,
            None => {
                say(&format!("Another process is renewing {name}, and is waited for."));
                connections.lock(&name).await.map_err(not_kept)?
            }
        };
        let now = connections.clock().now();
        let connection = Connection::new(name, self.server.clone(), &self.client, tokens, now);
        connections.keep(&connection, &lock).map_err(not_kept)?;
        Ok(connection)
    }

    /// Steps 1 and 2 of the guide.
    async fn authorize(
        &self,
        folder: &Path,
        arguments: &Arguments,
        scope: Option<&str>,
    ) -> Result<AuthorizationCode, Failure> {
        let loopback = match Loopback::can_catch(&arguments.redirect_uri) {
            false => None,
            true => Some(Loopback::bind(&arguments.redirect_uri).await.map_err(|error| {
                Failure::mendable(format!("{} cannot be caught", arguments.redirect_uri))
                    .because(&error)
                    .hint("leave the port out of --redirect-uri to take a free one, or end what uses it")
            })?),
        };
        let redirect_uri =
            loopback.as_ref().map_or(arguments.redirect_uri.as_str(), Loopback::redirect_uri);
        let random = Random::system();
        let request =
            AuthorizationRequest::new(&self.server, self.client.id(), redirect_uri, scope, &random);
        self.explain.authorize(&self.server, &request);
        let browser = (!arguments.no_browser).then_some(arguments.browser.as_deref());
        // It leads there until the answer came.
        let _page = answer::open(&request, browser, (folder, &random));
        let code = match loopback {
            Some(loopback) => answer::caught(&loopback, &request, arguments.wait_seconds).await,
            None => answer::pasted(&request, arguments.wait_seconds).await,
        }?;
        self.explain.code(&code, &self.server);
        Ok(code)
    }

    /// Steps 3 to 7 of the guide.
    async fn exchange(&self, code: &AuthorizationCode) -> Result<Tokens, Failure> {
        let call = exchange::call(&self.server, &self.client, code);
        self.explain.exchange(&self.server, &self.client, &call);
        let sent = call.send(&self.http).await;
        if let Ok(answer) = &sent {
            self.explain.answer(answer);
        }
        let now = Clock::system().now();
        let tokens = sent.map_err(TokenError::from).and_then(|answer| token::read(&answer, now));
        tokens.map_err(|error| {
            let what = match error.is_unclear() {
                true => "the code may have been used up, and no tokens came",
                false => "the code was not exchanged",
            };
            let failure = token_failure(what, &error, Called::Exchange);
            // RFC 6749 4.1.2: a code works once, so the call is not sent again.
            match Mistake::of_token(&error, Called::Exchange) {
                Some(Mistake::AnswerLost(_) | Mistake::NotNow(_)) => failure,
                _ if !error.is_unclear() => failure,
                _ => failure.hint("authorize again: run the same command once more"),
            }
        })
    }
}

fn not_kept(error: KeepingError) -> Failure {
    Failure::from(error).hint(
        "the customer's connection stands at the server, and its tokens could not be kept: mend what \
         is said above, and connect again",
    )
}

fn answer(connection: &Connection, output: Option<Form>) -> Result<(), Failure> {
    let now = Clock::system().now();
    let form = match output {
        Some(form) => form,
        None if !std::io::stdout().is_terminal() => Form::Json,
        None => {
            say("Connected.");
            print(&aligned(&[
                ("connection", connection.name.clone()),
                ("scope", connection.tokens.scope.clone().unwrap_or_else(|| "not said".into())),
                ("token until", time(connection.tokens.expires_at)),
            ]))?;
            say("`grantor token` prints a valid token, `grantor api GET /PATH` calls the API.");
            if connection.tokens.refresh_token.is_none() {
                say("The server gave no refresh token: when this token ends, connect again.");
            }
            return Ok(());
        }
    };
    print_token(connection, form, now)
}
