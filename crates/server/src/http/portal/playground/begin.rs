//! The first step: the URL that the customer opens, and the redirect URI that it needs.

use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::http::{Response, StatusCode};
use grantor_protocol::parameters::Parameters;
use url::form_urlencoded::Serializer;

use super::super::fault::Fault;
use super::super::visit::SignedIn;
use super::state::Begun;
use super::{Player, callback_uri};
use crate::pages::portal::PlaygroundPage;
use crate::programme::app::{self, AppForm};
use crate::programme::{Actor, Refused};
use crate::store::ClientRecord;

/// Shows it.
pub(in crate::http::portal) async fn begin(
    by: SignedIn,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let player = Player::of(by, &id).await?;
    let options = Parameters::parse(query.unwrap_or_default().as_bytes());
    let public = player.record.client.is_public();
    let pkce =
        public || player.record.client.settings.pkce_required || options.value("pkce") == Some("1");
    let scope = options.value("scope").unwrap_or_default().trim().to_owned();
    let site = player.site();
    let redirect_uri = callback_uri(site);
    let begun = Begun::now(site, player.by.visit.browser.digest(), pkce, player.client_id());
    let mut parameters = vec![
        ("client_id", player.client_id().to_owned()),
        ("response_type", "code".to_owned()),
        ("redirect_uri", redirect_uri.clone()),
        ("state", begun.state(site)),
    ];
    if !scope.is_empty() {
        parameters.push(("scope", scope.clone()));
    }
    if let Some(challenge) = begun.challenge(site) {
        parameters.push(("code_challenge", challenge));
        parameters.push(("code_challenge_method", "S256".to_owned()));
    }
    let query = Serializer::new(String::new()).extend_pairs(&parameters).finish();
    let registered = is_registered(&player.record, &redirect_uri);
    let page = PlaygroundPage {
        shell: player.by.visit.shell("apps"),
        app_id: player.client_id().to_owned(),
        app_name: player.record.client.name.clone(),
        url: registered.then(|| format!("{}/oauth/authorize?{query}", player.staging.base_url)),
        parameters: parameters
            .into_iter()
            .map(|(name, value)| (name, value, words_of(name)))
            .collect(),
        redirect_uri,
        pkce,
        pkce_always: public || player.record.client.settings.pkce_required,
        scope,
        off: player.record.client.disabled,
    };
    Ok(player.by.visit.page(StatusCode::OK, &page))
}

fn is_registered(record: &ClientRecord, redirect_uri: &str) -> bool {
    record.client.redirect_uris.iter().any(|held| held.as_str() == redirect_uri)
}

/// What a parameter of the first step is for.
fn words_of(name: &str) -> &'static str {
    match name {
        "client_id" => "which app asks",
        "response_type" => "a code is wanted, and never a token",
        "redirect_uri" => "where the code goes; byte for byte one that is registered",
        "state" => "bound to your browser; it comes back and is compared (not in the guide)",
        "scope" => "what is asked for; without it, all that the app may ask for",
        "code_challenge" => "the SHA-256 of a secret that the exchange will show (PKCE)",
        "code_challenge_method" => "how it was made",
        _ => "",
    }
}

/// Adds the playground's callback to what the client registered: exactly that, by the same operation
/// as the form of the app.
pub(super) async fn register(player: &Player) -> Result<Response<Body>, Fault> {
    let record = &player.record;
    let mut form = AppForm::of(record);
    form.redirect_uris.push(callback_uri(player.site()));
    let actor = Actor::from(&player.by.person);
    // One is added to those that stand there now, whatever they are.
    let version = app::version(record);
    let edit = (version.as_str(), &form);
    match app::change(player.site(), &player.staging, &actor, record, edit).await {
        Ok(()) => Ok(player.by.visit.go(&format!("/apps/{}/playground", record.client.id))),
        Err(Refused::Fields(faults)) => Err(Fault::Fields(faults)),
        Err(refused) => Err(refused.into()),
    }
}
