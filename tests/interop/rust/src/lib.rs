//! What both programs have: the environment, a client of their own, steps that are counted, and the
//! customer's part of the flow.

#![expect(clippy::disallowed_methods, reason = "they are told by the runner, and have no --help")]

mod customer;

use std::env;
use std::fs;
use std::process::Command;

use serde_json::Value;

pub use customer::Customer;

/// A step that failed says why, and ends the program.
pub type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Nobody needs to listen there: the walk ends where the browser would be sent to.
pub const REDIRECT_URI: &str = "http://127.0.0.1:9/callback";

/// A program at work in one environment.
pub struct Program {
    /// As `grantor dev --json` describes it.
    pub environment: Value,
    name: &'static str,
    features: Value,
    steps: u32,
    skipped: u32,
}

/// What `grantor client create` made.
pub struct NewClient {
    pub id: String,
    pub secret: Option<String>,
}

impl Program {
    /// Reads where the server is. `name` is the library's.
    pub fn start(name: &'static str) -> Outcome<Program> {
        let wanted = env::var("INTEROP_ENVIRONMENT")?;
        let server = read("INTEROP_SERVER")?;
        let environments = server["environments"].as_array().ok_or("no environments")?;
        let environment = environments.iter().find(|each| each["name"] == *wanted);
        Ok(Program {
            environment: environment.ok_or("no such environment")?.clone(),
            name,
            features: read("INTEROP_FEATURES")?,
            steps: 0,
            skipped: 0,
        })
    }

    /// The issuer, which is the base URL.
    pub fn issuer(&self) -> &str {
        self.environment["base_url"].as_str().unwrap_or_default()
    }

    /// The scopes that the API knows.
    pub fn scopes(&self) -> Vec<String> {
        let scopes = self.environment["scopes"].as_array();
        scopes.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }

    /// Runs one step and returns what it returns.
    pub fn step<T>(
        &mut self,
        title: &str,
        body: impl FnOnce(&Program) -> Outcome<T>,
    ) -> Outcome<T> {
        let result = body(self);
        println!("{}: {title}", if result.is_ok() { "step" } else { "failed" });
        self.steps += u32::from(result.is_ok());
        result
    }

    /// Whether a feature of features.json is on; where it is off the steps are skipped.
    pub fn has(&mut self, feature: &str, titles: &[&str]) -> bool {
        if self.features[feature] == true {
            return true;
        }
        for title in titles {
            println!("skipped: {title} ({feature} is off)");
            self.skipped += 1;
        }
        false
    }

    /// To be called at the end of a program: what counts is what this line says.
    pub fn done(self) {
        println!("{} steps, {} skipped", self.steps, self.skipped);
    }

    /// A client of the operator's making, with further options of `grantor client create`.
    pub fn new_client(&self, options: &[&str]) -> Outcome<NewClient> {
        let environment = self.environment["name"].as_str().unwrap_or_default();
        let made = Command::new(env::var("GRANTOR")?)
            .args(["client", "create", "--json", "--data", &env::var("INTEROP_DATA")?])
            .args(["--environment", environment, "--partner", "Demo Partner Ltd"])
            .args(["--name", &format!("{} client", self.name), "--redirect-uri", REDIRECT_URI])
            .args(["--scope", &self.scopes().join(" "), "--scope", "openid profile email"])
            .args(options)
            .output()?;
        if !made.status.success() {
            return Err(String::from_utf8_lossy(&made.stderr).into());
        }
        let made: Value = serde_json::from_slice(&made.stdout)?;
        let text = |name: &str| made[name].as_str().map(str::to_owned);
        Ok(NewClient {
            id: text("client_id").ok_or("no client_id")?,
            secret: text("client_secret"),
        })
    }

    /// Calls the demo API, and returns the status.
    pub fn call_api(&self, access_token: &str) -> Outcome<u16> {
        let url = format!("{}/f/data/businesses", self.issuer());
        let answer = reqwest::blocking::Client::new().get(url).bearer_auth(access_token).send()?;
        Ok(answer.status().as_u16())
    }
}

/// An error where `true` was expected.
pub fn ensure(holds: bool, words: &str) -> Outcome<()> {
    if holds { Ok(()) } else { Err(words.into()) }
}

fn read(variable: &str) -> Outcome<Value> {
    Ok(serde_json::from_slice(&fs::read(env::var(variable)?)?)?)
}
