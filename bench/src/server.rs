//! The real thing: the release program, on a data folder that its own commands made.
//!
//! 1. [`build`] has cargo build the program, which takes no time where it is new enough;
//! 2. [`Installation::make`] runs `grantor init`, `partner create`, `client create`, `customer
//!    create` and `customer add-business`, as an operator would; [`Installation::with_portal`] makes
//!    one with a portal, and nobody in it;
//! 3. [`Installation::serve`] starts `grantor serve` and waits until it says that it is ready.

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::database::Database;
use crate::failure::Failure;
use crate::process::Running;

/// An API whose access tokens are signed.
pub(crate) const SIGNED_API: &str = "https://api.example.com";
/// What the demo's grants are for.
pub(crate) const SCOPES: &str = "financial-api orders-api";
/// As long as the demo's, but https: a code is given silently to no other.
pub(crate) const REDIRECT_URI: &str = "https://planner.example/stage/callback";
/// Who signs in.
pub(crate) const EMAIL: &str = "customer@demo.example";
/// And with what.
pub(crate) const PASSWORD: &str = "a password of this run alone";
/// The demo's businesses: id, name, currency.
const BUSINESSES: [(&str, &str, &str); 2] =
    [("9765040300495493", "Bistro Aurora", "EUR"), ("9765040300495494", "Harbour Grill", "GBP")];

/// Names a program to be measured instead of one that is built.
const PROGRAM: &str = "GRANTOR_BENCH_PROGRAM";

/// A data folder with one client and one customer.
pub(crate) struct Installation {
    program: PathBuf,
    folder: PathBuf,
    /// Whether it serves a portal too.
    has_portal: bool,
    /// Its client.
    pub(crate) client_id: String,
    /// And the client's secret.
    pub(crate) client_secret: String,
}

/// A server that is ready.
pub(crate) struct Server {
    /// Its process.
    pub(crate) process: Running,
    /// Where staging listens.
    pub(crate) address: SocketAddr,
    /// Where the portal listens, if it is served.
    pub(crate) portal: SocketAddr,
    /// Where its words go.
    pub(crate) log: PathBuf,
}

/// Has cargo build the program as it is released, without any feature of this benchmark.
/// Where the variable [`PROGRAM`] names one, that one is taken as it is: so two builds are compared.
pub(crate) fn build() -> Result<PathBuf, Failure> {
    if let Some(program) = std::env::var_os(PROGRAM) {
        return Ok(program.into());
    }
    let cargo = option_env!("CARGO").unwrap_or("cargo");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "-p", "grantor", "--bin", "grantor"])
        .args(["--message-format", "json-render-diagnostics", "--manifest-path"])
        .arg(manifest)
        .stderr(Stdio::inherit())
        .output()
        .map_err(Failure::io("cargo was not started"))?;
    let messages = String::from_utf8_lossy(&built.stdout);
    let program = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == "grantor")
        .find_map(|message| message["executable"].as_str().map(PathBuf::from));
    match program {
        Some(program) if built.status.success() => Ok(program),
        _ => Err(Failure::said("cargo could not build the release server; its words stand above")),
    }
}

/// A port of the loopback address that nobody listens on.
pub(crate) fn free_port() -> Result<u16, Failure> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|socket| socket.local_addr())
        .map(|address| address.port())
        .map_err(Failure::io("no free port"))
}

impl Installation {
    /// Makes it in a folder that exists, on a database that is empty.
    pub(crate) fn make(
        program: &Path,
        folder: &Path,
        database: &Database,
    ) -> Result<Installation, Failure> {
        let mut made = Installation::empty(program, folder, (database, false))?;
        let partner = "Demo Partner Ltd";
        made.run(&["partner", "create", "--name", partner, "--verified", "--json"], "")?;
        let client = made.run(
            &[
                &["client", "create", "--environment", "staging", "--partner", partner][..],
                &["--name", "Table Planner", "--redirect-uri", REDIRECT_URI],
                &["--scope", SCOPES, "--client-credentials", "--json"],
            ]
            .concat(),
            "",
        )?;
        let member = |name: &str| client[name].as_str().unwrap_or_default().to_owned();
        (made.client_id, made.client_secret) = (member("client_id"), member("client_secret"));
        let customer = ["--environment", "staging", "--email", EMAIL, "--json"];
        let create = ["customer", "create", "--name", "Casey Customer"];
        made.run(&[&create[..], &customer].concat(), &format!("{PASSWORD}\n"))?;
        for (id, name, currency) in BUSINESSES {
            let add =
                ["customer", "add-business", "--id", id, "--name", name, "--currency", currency];
            made.run(&[&add[..], &customer].concat(), "")?;
        }
        Ok(made)
    }

    /// Makes one with a portal, and with nothing in it.
    pub(crate) fn with_portal(
        program: &Path,
        folder: &Path,
        database: &Database,
    ) -> Result<Installation, Failure> {
        Installation::empty(program, folder, (database, true))
    }

    fn empty(
        program: &Path,
        folder: &Path,
        (database, has_portal): (&Database, bool),
    ) -> Result<Installation, Failure> {
        let made = Installation {
            program: program.to_owned(),
            folder: folder.join("data"),
            has_portal,
            client_id: String::new(),
            client_secret: String::new(),
        };
        let data = made.folder.display().to_string();
        made.run(&["init", &data, "--json"], "")?;
        // For the commands; the server's own is written again with its ports.
        made.configure(database, [free_port()?, free_port()?, free_port()?])?;
        Ok(made)
    }

    /// Has `grantor doctor` look at it, and gives what it says of each check, without the place on this
    /// machine. A fault ends the run.
    pub(crate) fn doctor(&self) -> Result<Value, Failure> {
        let mut doctor = self.run(&["doctor", "--json"], "")?;
        let place = self.folder.parent().unwrap_or(&self.folder).display().to_string();
        for check in doctor["checks"].as_array_mut().into_iter().flatten() {
            if let Some(words) = check["words"].as_str() {
                check["words"] = words.replace(&place, "FOLDER").into();
            }
        }
        Ok(doctor)
    }

    /// Starts the server on free ports, and waits until it is ready.
    pub(crate) fn serve(&self, database: &Database) -> Result<Server, Failure> {
        let ports = [free_port()?, free_port()?, free_port()?];
        self.configure(database, ports)?;
        let [port, _, portal] = ports;
        let log = self.folder.join(format!("server-{port}.log"));
        let mut command = Command::new(&self.program);
        command.args(["serve", "--json", "--config"]).arg(self.config());
        let mut process = Running::start(&mut command, &log)?;
        if process.line()?.is_empty() {
            let words = fs::read_to_string(&log).unwrap_or_default();
            return Err(Failure::said(format!("the server did not start:\n{words}")));
        }
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Ok(Server { process, address: at(port), portal: at(portal), log })
    }

    /// The master key's file.
    pub(crate) fn master_key(&self) -> PathBuf {
        self.folder.join("master.key")
    }

    fn config(&self) -> PathBuf {
        self.folder.join("grantor.toml")
    }

    /// Plain http on the loopback address, as behind a proxy of the same machine. Codes live as
    /// long as they may, because those of a run are made before they are measured.
    /// The ports are those of staging, production and the portal.
    fn configure(&self, database: &Database, ports: [u16; 3]) -> Result<(), Failure> {
        let [staging, production, portal] = ports;
        let mut text = format!(
            "store = \"{}\"\nmaster_key_file = \"master.key\"\n\n\
             [environment.staging]\nbase_url = \"http://127.0.0.1:{staging}\"\n\
             listen = \"127.0.0.1:{staging}\"\ncode_ttl_seconds = 600\n\n\
             [[environment.staging.api]]\nresource = \"{SIGNED_API}\"\n\
             scopes = \"{SCOPES}\"\naccess_tokens = \"ES256\"\n\n\
             [environment.production]\nbase_url = \"http://127.0.0.1:{production}\"\n\
             listen = \"127.0.0.1:{production}\"\n",
            database.url()
        );
        if self.has_portal {
            // No mail is written, and so nobody has to be there who carries it.
            text += &format!(
                "\n[portal]\nbase_url = \"http://127.0.0.1:{portal}\"\n\
                 listen = \"127.0.0.1:{portal}\"\n\n\
                 [mail]\nhost = \"127.0.0.1\"\nport = 25\ntls = \"none\"\n\
                 from = \"Partners <partners@programme.example>\"\n"
            );
        }
        fs::write(self.config(), text).map_err(Failure::io("the configuration was not written"))
    }

    /// Runs one of the program's commands, and reads the JSON that it answers with.
    fn run(&self, arguments: &[&str], input: &str) -> Result<Value, Failure> {
        let named = || format!("grantor {}", arguments.get(..2).unwrap_or_default().join(" "));
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("GRANTOR_CONFIG", self.config());
        let mut child = command.spawn().map_err(Failure::io(named()))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input.as_bytes()).map_err(Failure::io(named()))?;
        }
        let output = child.wait_with_output().map_err(Failure::io(named()))?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::said(format!("{}: {words}", named())));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| Failure::said(format!("{}: {error}", named())))
    }
}
