//! `grantor client create`: everything is checked first, and everything that is wrong is told
//! together; then the client and its secret are made in one write.

use grantor_protocol::authorize_error::scope_words;
use grantor_protocol::client::{ClientSecret, ClientSettings, IdTokenAlgorithm};
use grantor_protocol::redirect_uri::RedirectUri;
use grantor_protocol::scope::Scope;
use serde::Serialize;
use url::Url;

use super::super::output::{Output, aligned};
use super::super::place::{In, Opened, Place};
use super::super::{Failure, partner};
use super::COMMAND;
use super::proof::{Proof, ProofArguments};
use crate::programme::app::{client_id, described};
use crate::store::{Act, ChangedApp, NewClient, Partner};

/// No client has more redirect URIs.
const MAX_REDIRECT_URIS: usize = 50;
/// No window for repeating a refresh is longer.
const MAX_REFRESH_WINDOW_SECONDS: i64 = 600;

#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"environment\",\"client_id\",\"client_secret\",\"name\",\"partner\",\"redirect_uris\",\"scopes\"}; client_secret is null for a client without one"
)]
pub(super) struct Create {
    #[command(flatten)]
    environment: In,
    /// The partner that it belongs to, by id or name
    #[arg(long, value_name = "ID|NAME")]
    partner: String,
    /// The app's name, as customers read it
    #[arg(long)]
    name: String,
    /// The app's web site
    #[arg(long, value_name = "URL")]
    website: Option<String>,
    /// Where a code may go; may be repeated
    #[arg(
        long = "redirect-uri",
        value_name = "URI",
        required_unless_present_any = ["client_credentials", "device"]
    )]
    redirect_uris: Vec<String>,
    /// What it may ask for, separated by blanks; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    scopes: Vec<String>,
    /// Which of them a customer may leave out; may be repeated
    #[arg(long = "optional-scope", value_name = "SCOPE")]
    optional_scopes: Vec<String>,
    #[command(flatten)]
    proof: ProofArguments,
    /// It may have tokens of its own, without a customer
    #[arg(long)]
    client_credentials: bool,
    /// It may connect devices without a browser
    #[arg(long)]
    device: bool,
    /// Refuse authorization requests that it did not push (PAR)
    #[arg(long)]
    par_required: bool,
    /// Give a refresh token only where the scope offline_access was allowed
    #[arg(long)]
    offline_access_required: bool,
    /// How its ID tokens are signed
    #[arg(long, value_name = "ALGORITHM", default_value = "RS256", value_parser = id_token_algorithm)]
    id_token_alg: IdTokenAlgorithm,
    /// Where a customer may go after signing out; may be repeated
    #[arg(long = "post-logout-redirect-uri", value_name = "URI")]
    post_logout_redirect_uris: Vec<String>,
    /// Give tokens that are bound to a key alone (DPoP)
    #[arg(long)]
    dpop_required: bool,
    /// Nobody of your company has looked at it yet: customers are asked each time, and errors
    /// redirect only after sign-in
    #[arg(long)]
    unapproved: bool,
    /// Refuse authorization requests without a PKCE challenge
    #[arg(long)]
    pkce_required: bool,
    /// Give no refresh tokens
    #[arg(long)]
    no_refresh_tokens: bool,
    /// Take no parameters from the query at the token endpoint
    #[arg(long)]
    no_query_parameters: bool,
    /// How long a refresh may be repeated [default: the environment's; 10 for a public client]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(i64).range(0..=MAX_REFRESH_WINDOW_SECONDS))]
    refresh_window_seconds: Option<i64>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    output: Output,
}

/// What was made. It does not print twice.
#[derive(Serialize)]
struct Created<'a> {
    environment: &'static str,
    client_id: &'a str,
    /// `null` for a client without one.
    client_secret: Option<&'a str>,
    name: &'a str,
    partner: &'a str,
    redirect_uris: Vec<&'a str>,
    scopes: Vec<&'a str>,
}

/// What of the arguments the protocol takes.
struct Checked {
    name: String,
    website: Option<String>,
    redirect_uris: Vec<RedirectUri>,
    post_logout_redirect_uris: Vec<String>,
    scopes: Scope,
    optional_scopes: Scope,
    proof: Proof,
}

impl Create {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let checked = self.check()?;
        let opened = self.place.open().await?;
        let partner = partner::find(&opened, &self.partner).await?;
        let Opened { store, random, .. } = &opened;
        let secret = checked.proof.has_secret.then(|| ClientSecret::new(random.secret()));
        let environment = self.environment.environment;
        let client = NewClient {
            environment,
            id: client_id(environment, &checked.name, random),
            partner_id: partner.id,
            name: checked.name,
            website: checked.website,
            redirect_uris: checked.redirect_uris,
            scopes: checked.scopes,
            optional_scopes: checked.optional_scopes,
            secret: secret.as_ref().map(|secret| (secret.digest(), secret.hint())),
            approved: !self.unapproved,
            demo: false,
            settings: ClientSettings {
                refresh_tokens: !self.no_refresh_tokens,
                parameters_in_query: !self.no_query_parameters,
                pkce_required: self.pkce_required || checked.proof.is_none(),
                secret_methods: checked.proof.secret_methods,
                assertion_for_token_endpoint: checked.proof.assertion_for_token_endpoint,
                authorization_code: !self.redirect_uris.is_empty(),
                client_credentials: self.client_credentials,
                device_code: self.device,
                dpop_required: self.dpop_required,
                par_required: self.par_required,
                offline_access_required: self.offline_access_required,
                id_token_algorithm: self.id_token_alg,
                refresh_window_seconds: self.refresh_window_seconds,
            },
            keys: checked.proof.keys,
            post_logout_redirect_uris: checked.post_logout_redirect_uris,
            registration: crate::store::Registration::default(),
        };
        let act = Act {
            partner_id: Some(partner.id),
            client_id: Some(client.id.clone()),
            ..opened.act(COMMAND, "client.created", described(&ChangedApp::of_new(&client)))
        };
        // An operator makes as many as are asked for.
        if !store.make_app(&client, (None, None), i64::MAX, &act).await? {
            return Err(not_made(&opened, partner).await?);
        }
        let created = Created {
            environment: environment.as_str(),
            client_id: &client.id,
            client_secret: secret.as_ref().map(ClientSecret::expose),
            name: &client.name,
            partner: &partner.name,
            redirect_uris: client.redirect_uris.iter().map(RedirectUri::as_str).collect(),
            scopes: client.scopes.iter().collect(),
        };
        self.output.data(&created, Created::lines)?;
        if secret.is_some() {
            self.output
                .say("The secret is shown this once: keep it now. Only its digest is stored.");
        }
        Ok(())
    }

    /// Checks all of it, and tells all that is wrong.
    fn check(&self) -> Result<Checked, Failure> {
        let mut failures = Vec::new();
        let mut keep = |failure: Failure| failures.push(failure);
        let name = partner::name(&self.name, "--name").map_err(&mut keep);
        let website = self.website.as_deref().map(website).transpose().map_err(&mut keep);
        let redirect_uris = uris("--redirect-uri", &self.redirect_uris, &mut keep);
        let after_logout =
            uris("--post-logout-redirect-uri", &self.post_logout_redirect_uris, &mut keep);
        if redirect_uris.len() > MAX_REDIRECT_URIS {
            keep(Failure::mendable(format!(
                "a client has at most {MAX_REDIRECT_URIS} redirect URIs"
            )));
        }
        let scopes = scope("--scope", &self.scopes).map_err(&mut keep);
        let optional_scopes = scope("--optional-scope", &self.optional_scopes).map_err(&mut keep);
        if let (Ok(scopes), Ok(optional_scopes)) = (&scopes, &optional_scopes) {
            if scopes.is_empty() {
                keep(Failure::mendable("--scope: a client asks for at least one scope"));
            }
            let more = optional_scopes.without(scopes);
            if !more.is_empty() {
                keep(
                    Failure::mendable(format!("--optional-scope: the client does not have {more}"))
                        .hint("an optional scope is one of those in --scope"),
                );
            }
        }
        let proof = self.proof.check().map_err(&mut keep);
        if let Ok(proof) = &proof
            && proof.is_none()
            && self.client_credentials
        {
            keep(Failure::mendable(
                "--client-credentials is for a client that proves itself, and this one has nothing to",
            ));
        }
        match (name, website, scopes, optional_scopes, proof) {
            (Ok(name), Ok(website), Ok(scopes), Ok(optional_scopes), Ok(proof))
                if failures.is_empty() =>
            {
                let after = after_logout.iter().map(RedirectUri::to_string).collect();
                Ok(Checked {
                    name,
                    website,
                    redirect_uris,
                    post_logout_redirect_uris: after,
                    scopes,
                    optional_scopes,
                    proof,
                })
            }
            _ => Err(Failure::all(failures)),
        }
    }
}

/// Why the write was refused, which alone decides.
async fn not_made(opened: &Opened, partner: Partner) -> Result<Failure, Failure> {
    let suspended = opened.store.partner(partner.id).await?.is_some_and(|found| found.suspended);
    Ok(match suspended {
        true => Failure::mendable(format!(
            "the partner {} is suspended, and gets no new client",
            partner.name
        ))
        .hint("`grantor partner enable` brings it and its clients back"),
        false => Failure::unexplained(
            "the client was not added: its partner is gone, or its new id is taken",
        ),
    })
}

impl Created<'_> {
    fn lines(&self) -> String {
        let mut lines = vec![
            ("environment", self.environment.to_owned()),
            ("client_id", self.client_id.to_owned()),
            ("client_secret", self.client_secret.unwrap_or("none").to_owned()),
        ];
        lines.extend(self.redirect_uris.iter().map(|uri| ("redirect_uri", (*uri).to_owned())));
        lines.push(("scopes", self.scopes.join(" ")));
        aligned(&lines)
    }
}

fn scope(option: &str, texts: &[String]) -> Result<Scope, Failure> {
    Scope::parse(&texts.join(" ")).map_err(|fault| {
        Failure::mendable(format!("{option}: {}", scope_words(&fault)))
            .hint(format!("for example {option} financial-api {option} orders-api"))
    })
}

/// The URIs of an option, each once; what is wrong with one is told to `keep`.
fn uris(option: &str, texts: &[String], mut keep: impl FnMut(Failure)) -> Vec<RedirectUri> {
    let mut uris: Vec<RedirectUri> = Vec::new();
    for text in texts {
        match RedirectUri::register(text) {
            Ok(uri) if uris.contains(&uri) => {}
            Ok(uri) => uris.push(uri),
            Err(fault) => {
                let (words, hint) = fault.words();
                keep(Failure::mendable(format!("{option} {text:?}: {words}")).hint(hint));
            }
        }
    }
    uris
}

fn id_token_algorithm(text: &str) -> Result<IdTokenAlgorithm, String> {
    IdTokenAlgorithm::parse(text).ok_or_else(|| "RS256, ES256 or EdDSA".to_owned())
}

fn website(text: &str) -> Result<String, Failure> {
    match Url::parse(text) {
        Ok(url)
            if matches!(url.scheme(), "https" | "http")
                && url.host().is_some()
                && url.username().is_empty() =>
        {
            Ok(url.into())
        }
        _ => {
            Err(Failure::mendable(format!("--website: {text:?} is not the address of a web site"))
                .hint("for example https://mycompany.com"))
        }
    }
}
