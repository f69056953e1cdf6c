//! The `grantor` program.
//!
//! 1. [`main`] reads what was typed and runs it; each file below is one command;
//! 2. `place.rs` finds the store that a command is about, `prompt.rs` reads what is secret,
//!    `output.rs` writes data to standard output, as lines, a table or JSON;
//! 3. a [`Failure`] becomes `error:` and `hint:` lines on standard error and an exit code: 1 where
//!    the user can mend it (a wrong call too), 2 where we can't explain it.

pub mod dev;

mod activity;
mod api;
mod backup;
mod basic;
mod broker;
mod calls;
mod client;
mod connect;
mod connections;
mod customer;
mod desk;
mod doctor;
mod failure;
mod grant;
mod init;
mod kept;
mod key;
mod logout;
mod manager;
mod output;
mod partner;
mod parts;
mod place;
mod postman;
mod prompt;
mod report;
mod request;
mod restore;
mod serve;
mod sites;
mod test_customer;
mod token;
mod trial;
mod webhook;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use failure::Failure;

/// What is typed behind `grantor`.
#[derive(Parser)]
#[command(
    name = "grantor",
    version,
    about = "The OAuth 2.0 server that a company runs to open its API to partners",
    after_help = "Data goes to standard output, words to standard error.\n\
                  Exit codes: 0 done, 1 something that you can mend, 2 something unexplained.\n\
                  GRANTOR_LOG chooses what the servers log: error, warn, info or debug."
)]
struct Program {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run both environments on this machine, with demo data
    Dev(dev::Arguments),
    /// Run the server that a configuration describes
    Serve(serve::Arguments),
    /// Make a data folder: a master key and a commented configuration
    Init(init::Arguments),
    /// Save the database to a file, while the server runs
    Backup(backup::Arguments),
    /// Make a backup the database again; what ended since stays ended
    Restore(restore::Arguments),
    /// Create and change API clients
    Client(client::Arguments),
    /// Create and change customers, who sign in and allow
    Customer(customer::Arguments),
    /// List the connections that customers allowed, and end one
    Grant(grant::Arguments),
    /// Create partners, the organisations that clients belong to, and help their teams
    Partner(partner::Arguments),
    /// Create, list and remove partner managers and operators
    Manager(manager::Arguments),
    /// List what partners ask for, and decide
    Request(request::Arguments),
    /// Show the calls of a client, and the one of a request id
    Log(calls::Arguments),
    /// Show what the calls of a client have shown: its integration report
    Report(report::Arguments),
    /// List a partner's webhooks, set them up, and see what was sent there
    Webhook(webhook::Arguments),
    /// Make, list and remove the customers that a partner tries its app with on staging
    TestCustomer(test_customer::Arguments),
    /// Make hard cases happen to a client of staging
    Trial(trial::Arguments),
    /// List what people and commands did, and export it
    Activity(activity::Arguments),
    /// List, rotate and revoke the keys that make tokens, and change the master key
    Key(key::Arguments),
    /// Look at an installation, and say what is well and what is not
    Doctor(doctor::Arguments),
    /// Make an `Authorization: Basic` header, or explain one
    Basic(basic::Arguments),
    /// Write the Postman collection and its two environments
    Postman(postman::Arguments),
    /// Connect to an API: from a client id to stored tokens
    Connect(Box<connect::Arguments>),
    /// Print a valid access token of a connection
    Token(token::Arguments),
    /// Call the API with the token of a connection
    Api(api::Arguments),
    /// List, show and forget connections
    Connections(connections::Arguments),
    /// End a connection at the server, and forget it here
    Logout(logout::Arguments),
    /// Hand tokens to other programs on this machine
    Broker(broker::Arguments),
}

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    let program = match Program::try_parse() {
        Ok(program) => program,
        Err(error) => {
            // clap's own exit code for a wrong call is 2; here that means something else.
            let code = if error.use_stderr() { ExitCode::from(1) } else { ExitCode::SUCCESS };
            return if error.print().is_ok() { code } else { ExitCode::from(2) };
        }
    };
    let outcome = match program.command {
        // It is called for each call of an API: it starts no more than it needs.
        Command::Token(arguments) => token::run(&arguments),
        command => on_a_runtime(command),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn on_a_runtime(command: Command) -> Result<(), Failure> {
    let built = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime =
        built.map_err(|error| Failure::unexplained("no thread can be started").because(&error))?;
    let outcome = runtime.block_on(command.run());
    // What still runs, such as a prompt's thread, does not keep the process.
    runtime.shutdown_background();
    outcome
}

impl Command {
    async fn run(self) -> Result<(), Failure> {
        match self {
            Command::Dev(arguments) => dev::run(arguments).await,
            Command::Serve(arguments) => serve::run(arguments).await,
            Command::Init(arguments) => init::run(&arguments),
            Command::Backup(arguments) => backup::run(arguments).await,
            Command::Restore(arguments) => restore::run(arguments).await,
            Command::Client(arguments) => client::run(arguments).await,
            Command::Customer(arguments) => customer::run(arguments).await,
            Command::Grant(arguments) => grant::run(arguments).await,
            Command::Partner(arguments) => partner::run(arguments).await,
            Command::Manager(arguments) => manager::run(arguments).await,
            Command::Request(arguments) => request::run(arguments).await,
            Command::Log(arguments) => calls::run(arguments).await,
            Command::Report(arguments) => report::run(arguments).await,
            Command::Webhook(arguments) => webhook::run(arguments).await,
            Command::TestCustomer(arguments) => test_customer::run(arguments).await,
            Command::Trial(arguments) => trial::run(arguments).await,
            Command::Activity(arguments) => activity::run(arguments).await,
            Command::Doctor(arguments) => doctor::run(arguments).await,
            Command::Key(arguments) => key::run(arguments).await,
            Command::Basic(arguments) => basic::run(&arguments),
            Command::Postman(arguments) => postman::run(arguments).await,
            Command::Connect(arguments) => connect::run(*arguments).await,
            Command::Token(arguments) => token::run(&arguments),
            Command::Api(arguments) => api::run(arguments).await,
            Command::Connections(arguments) => connections::run(arguments).await,
            Command::Logout(arguments) => logout::run(arguments).await,
            Command::Broker(arguments) => broker::run(arguments).await,
        }
    }
}
