//! The playground: the guide's seven steps with one's own staging client, each call shown raw.
//!
//! 1. [`begin`] builds the URL of the guide's first step, with a `state` that is bound to this
//!    browser, and with PKCE where it is wanted;
//! 2. [`callback`] catches the code at the portal, and checks the state;
//! 3. [`post`] takes one step at a time: `exchange.rs` makes tokens of the code, `refresh.rs` new ones
//!    of a refresh token, and `token.rs` shows what a token opens, and how it ends.
//!
//! A step is a call that `call.rs` makes and writes down.
//!
//! Nothing is kept (U12). The secret is typed into the form of a step, and it and the tokens live in
//! the fields of the page that is open: no cookie, no row, no URL and no line of the log has them.

mod begin;
mod call;
mod callback;
mod exchange;
mod refresh;
mod state;
mod token;

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::Path;
use axum::http::{Response, StatusCode};
use grantor_protocol::client::ClientSecret;
use grantor_protocol::environment::Environment;

pub(super) use self::begin::begin;
use self::call::{Answer, Caller};
pub(super) use self::callback::callback;
use super::fault::Fault;
use super::visit::{Posted, SignedIn};
use crate::http::ClientAddress;
use crate::pages::portal::{Check, Held, PlaygroundStepPage, RawCall};
use crate::programme::Actor;
use crate::programme::app;
use crate::site::Site;
use crate::store::ClientRecord;

/// What a step shows: what it is called, what it says, and the call.
struct Shown {
    title: &'static str,
    words: String,
    checks: Vec<Check>,
    raw: RawCall,
    held: Held,
    status: StatusCode,
}

/// Who plays, and with which client.
struct Player {
    by: SignedIn,
    record: ClientRecord,
    staging: Arc<Site>,
}

impl Player {
    /// A partner's own client on staging; of production and of others there is no playground.
    async fn of(by: SignedIn, id: &str) -> Result<Player, Fault> {
        if by.person.role.is_staff() {
            return Err(Fault::NotAllowed);
        }
        let record = app::find(&by.visit.site, &Actor::from(&by.person), id).await?;
        if record.client.environment != Environment::Staging {
            return Err(Fault::NotFound);
        }
        let staging = by.visit.portal()?.site(Environment::Staging).ok_or(Fault::NotFound)?;
        let staging = Arc::clone(staging);
        Ok(Player { by, record, staging })
    }

    fn site(&self) -> &Site {
        &self.by.visit.site
    }

    fn client_id(&self) -> &str {
        &self.record.client.id
    }

    /// The client as it calls; a public one has nothing to prove itself with.
    fn caller(&self, secret: &str) -> Caller<'_> {
        match self.record.client.is_public() {
            true => Caller::Nobody,
            // Blanks around a secret are an accident of copying.
            false => Caller::Client(self.client_id(), ClientSecret::new(secret.trim().to_owned())),
        }
    }

    /// What a public client says of itself in the form (RFC 6749 3.2.1).
    fn own_id(&self) -> Option<(&'static str, &str)> {
        self.record.client.is_public().then(|| ("client_id", self.client_id()))
    }

    fn show(&self, shown: Shown) -> Response<Body> {
        let scope = |name: &str| shown.held.scope.split(' ').any(|held| held == name);
        let page = PlaygroundStepPage {
            shell: self.by.visit.shell("apps"),
            app_id: self.client_id().to_owned(),
            app_name: self.record.client.name.clone(),
            public: self.record.client.is_public(),
            api: self.staging.dev.is_some() && (scope("financial-api") || scope("orders-api")),
            userinfo: scope("openid"),
            token_url: format!("{}/oauth/token", self.staging.base_url),
            redirect_uri: callback_uri(self.site()),
            title: shown.title,
            words: shown.words,
            checks: shown.checks,
            raw: shown.raw,
            held: shown.held,
        };
        self.by.visit.page(shown.status, &page)
    }
}

/// Where codes of the playground go.
fn callback_uri(portal: &Site) -> String {
    format!("{}/playground/callback", portal.base_url)
}

/// One step, by the name of its button.
pub(super) async fn post(
    Path(id): Path<String>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    posted: Posted,
) -> Result<Response<Body>, Fault> {
    let Posted { by, form } = posted;
    let player = Player::of(by, &id).await?;
    let text = |name: &str| form.value(name).unwrap_or_default().to_owned();
    let mut held = Held {
        code: text("code"),
        state: text("state"),
        secret: text("secret"),
        access_token: text("access_token"),
        refresh_token: text("refresh_token"),
        former_refresh_token: text("former_refresh_token"),
        scope: text("scope"),
    };
    if form.value("step") == Some("register") {
        return begin::register(&player).await;
    }
    let step = match form.value("step").unwrap_or_default() {
        "exchange" => exchange::exchange(&player, &mut held, form.value("way"), address).await?,
        "refresh" => refresh::refresh(&player, &mut held, address).await?,
        "repeat" => refresh::repeat(&player, &mut held, address).await?,
        "api" | "introspect" | "userinfo" => {
            token::look(&player, &mut held, form.value("step").unwrap_or_default(), address).await?
        }
        "revoke" => token::revoke(&player, &mut held, address).await?,
        _ => return Err(Fault::NotFound),
    };
    let (title, words, answer) = step;
    let raw = answer.raw;
    let (checks, status) = (Vec::new(), StatusCode::OK);
    Ok(player.show(Shown { title, words, checks, raw, held, status }))
}

/// What a step is called, what it says, and what was answered.
type Taken = (&'static str, String, Answer);

/// Keeps what an answer gave, in the page.
fn keep(held: &mut Held, answer: &Answer) {
    held.access_token = answer.text("access_token").to_owned();
    let refresh_token = answer.text("refresh_token");
    if refresh_token != held.refresh_token {
        held.former_refresh_token = std::mem::take(&mut held.refresh_token);
    }
    held.refresh_token = refresh_token.to_owned();
    held.scope = answer.text("scope").to_owned();
}
