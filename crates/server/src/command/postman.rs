//! `grantor postman`: a Postman collection with the guide's steps, and an environment file each for
//! staging and production.
//!
//! 1. the base URLs come from the options, else from the configuration, else they are dev's;
//! 2. nothing is written where a file is there already, unless `--force` says so;
//! 3. `crate::postman` is the collection. No secret is ever written: it is typed into Postman.

use std::fs;
use std::path::{Path, PathBuf};

use grantor_protocol::environment::Environment;
use grantor_protocol::redirect_uri::RedirectUri;
use serde::Serialize;
use serde_json::Value;
use url::Url;

use super::Failure;
use super::output::{Output, aligned};
use super::place::{Opened, Place};
use crate::config::Config;
use crate::{demo, postman};

/// The arguments of `grantor postman`.
#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"collection\",\"environments\":[{\"name\",\"base_url\",\"file\"}]}"
)]
pub(super) struct Arguments {
    /// The folder to write to; it is made where there is none
    #[arg(long, value_name = "DIR", default_value = ".")]
    output: PathBuf,
    /// The base URL of staging [default: the configuration's, or dev's]
    #[arg(long, value_name = "URL")]
    staging_url: Option<String>,
    /// The base URL of production [default: the configuration's, or dev's]
    #[arg(long, value_name = "URL")]
    production_url: Option<String>,
    /// The id of the client in staging
    #[arg(long, value_name = "ID")]
    staging_client_id: Option<String>,
    /// The id of the client in production
    #[arg(long, value_name = "ID")]
    production_client_id: Option<String>,
    /// The redirect URI of the client, in both
    #[arg(long, value_name = "URI")]
    redirect_uri: Option<String>,
    /// Overwrite files that are there
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    answer: Output,
}

/// What is known of one environment; never a secret.
#[derive(Default)]
struct Known {
    base_url: Option<String>,
    client_id: String,
    redirect_uri: String,
}

/// Where the rest is known from.
enum Source {
    /// Nowhere: the options say all of it.
    Options,
    /// The configuration: its base URLs.
    Config(Box<Config>),
    /// Nowhere, so that dev is meant, on its usual ports.
    Dev,
    /// A data folder of dev: its demo clients, without their secrets.
    DevData(Opened),
}

/// What was written.
#[derive(Serialize)]
struct Written {
    collection: PathBuf,
    environments: Vec<WrittenEnvironment>,
}

#[derive(Serialize)]
struct WrittenEnvironment {
    name: &'static str,
    base_url: String,
    file: PathBuf,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let mut files: Vec<(PathBuf, Value)> = Vec::new();
    let collection = arguments.output.join(postman::COLLECTION_FILE);
    files.push((collection.clone(), postman::collection()));
    let mut written = Written { collection, environments: Vec::new() };
    let source = arguments.source().await?;
    for environment in Environment::ALL {
        let known = arguments.known(&source, environment).await?;
        let Some(base_url) = known.base_url else {
            arguments.answer.say(&format!(
                "The configuration has no {environment}: name its base URL with --{environment}-url \
                 to get its file too."
            ));
            continue;
        };
        let file = arguments.output.join(postman::environment_file(environment));
        let content =
            postman::environment(environment, &base_url, &known.client_id, &known.redirect_uri);
        files.push((file.clone(), content));
        written.environments.push(WrittenEnvironment {
            name: environment.as_str(),
            base_url,
            file,
        });
    }
    write(&arguments.output, &files, arguments.force)?;
    arguments.answer.data(&written, |written| {
        let mut lines = vec![("collection", written.collection.display().to_string())];
        lines.extend(written.environments.iter().map(|environment| {
            (
                environment.name,
                format!("{} for {}", environment.file.display(), environment.base_url),
            )
        }));
        aligned(&lines)
    })?;
    arguments.answer.say(
        "Import all of them into Postman, choose an environment, and fill in client_secret there. \
         No secret was written.",
    );
    Ok(())
}

impl Arguments {
    async fn source(&self) -> Result<Source, Failure> {
        if self.place.data.is_some() {
            return Ok(Source::DevData(self.place.open().await?));
        }
        if self.staging_url.is_some() && self.production_url.is_some() {
            return Ok(Source::Options);
        }
        let file = &self.place.config.path;
        if file.exists() {
            return Ok(Source::Config(Box::new(Config::read(file)?)));
        }
        self.answer.say(&format!(
            "There is no {}: where no option says otherwise, the base URLs are those of grantor dev.",
            file.display()
        ));
        Ok(Source::Dev)
    }

    /// What the options say of an environment, and what its source says beyond.
    async fn known(&self, source: &Source, environment: Environment) -> Result<Known, Failure> {
        let (url, client_id) = match environment {
            Environment::Staging | Environment::Portal => {
                (&self.staging_url, &self.staging_client_id)
            }
            Environment::Production => (&self.production_url, &self.production_client_id),
        };
        let mut known = source.known(environment).await?;
        if let Some(url) = url {
            known.base_url = Some(base_url(url, &format!("--{environment}-url"))?);
        }
        if let Some(client_id) = client_id {
            known.client_id.clone_from(client_id);
        }
        if let Some(redirect_uri) = &self.redirect_uri {
            known.redirect_uri.clone_from(redirect_uri);
        }
        Ok(known)
    }
}

impl Source {
    async fn known(&self, environment: Environment) -> Result<Known, Failure> {
        Ok(match self {
            Source::Options => Known::default(),
            Source::Config(config) => Known {
                base_url: config.environment(environment).map(|found| found.base_url.clone()),
                ..Known::default()
            },
            Source::Dev => Known { base_url: Some(dev_base_url(environment)), ..Known::default() },
            Source::DevData(opened) => {
                let record = opened.store.client(demo::client_id(environment)).await?;
                let redirect_uris = record.map(|record| record.client.redirect_uris);
                let redirect_uri =
                    redirect_uris.unwrap_or_default().first().map(RedirectUri::to_string);
                Known {
                    base_url: Some(dev_base_url(environment)),
                    client_id: demo::client_id(environment).to_owned(),
                    redirect_uri: redirect_uri.unwrap_or_default(),
                }
            }
        })
    }
}

/// Where `grantor dev` serves an environment, unless it was told another port.
fn dev_base_url(environment: Environment) -> String {
    match environment {
        Environment::Staging => "http://127.0.0.1:8300",
        Environment::Production => "http://127.0.0.1:8301",
        Environment::Portal => "http://127.0.0.1:8303",
    }
    .to_owned()
}

fn base_url(text: &str, option: &str) -> Result<String, Failure> {
    match Url::parse(text) {
        Ok(url)
            if matches!(url.scheme(), "https" | "http")
                && url.host().is_some()
                && url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none()
                && url.username().is_empty() =>
        {
            Ok(url.origin().ascii_serialization())
        }
        _ => Err(Failure::mendable(format!("{option}: {text:?} is not a base URL"))
            .hint("scheme, host and port, as in https://api.example.com")),
    }
}

fn write(folder: &Path, files: &[(PathBuf, Value)], force: bool) -> Result<(), Failure> {
    if !force
        && let Some((path, _)) = files.iter().find(|(path, _)| path.symlink_metadata().is_ok())
    {
        return Err(Failure::mendable(format!("there is a {} already", path.display()))
            .hint("nothing was written; --force overwrites, --output names another folder"));
    }
    let fault = |path: &Path, error: &std::io::Error| {
        Failure::mendable(format!("{} cannot be written", path.display())).because(error)
    };
    fs::create_dir_all(folder).map_err(|error| fault(folder, &error))?;
    for (path, content) in files {
        let text = serde_json::to_string_pretty(content)
            .map_err(|error| Failure::unexplained("the collection is no JSON").because(&error))?;
        fs::write(path, text + "\n").map_err(|error| fault(path, &error))?;
    }
    Ok(())
}
