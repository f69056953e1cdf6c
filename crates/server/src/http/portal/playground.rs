//! The playground: the guide's seven steps with one's own staging client, each call shown raw.
//!
//! 1. [`begin`] builds the URL of the guide's first step, with a `state` that is bound to this
//!    browser, and with PKCE where it is wanted;
//! 2. [`callback`] catches the code at the portal, and checks the state;
//! 3. [`post`] takes one step at a time: the exchange, and what a token is for.
//!
//! Nothing is kept (U12). The secret is typed into the form of a step, and it and the tokens live in
//! the fields of the page that is open: no cookie, no row, no URL and no line of the log has them.

mod call;
mod state;

use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Path, RawQuery};
use axum::http::{Response, StatusCode};
use grantor_protocol::client::ClientSecret;
use grantor_protocol::environment::Environment;
use grantor_protocol::parameters::Parameters;
use url::form_urlencoded::Serializer;

use self::call::{Answer, Call, Caller};
use self::state::{Begun, StateFault};
use super::fault::Fault;
use super::visit::{Posted, SignedIn, Visit};
use crate::http::ClientAddress;
use crate::pages::portal::{
    Check, Held, PlaygroundPage, PlaygroundStepPage, RawCall, RawPart, ToldPage,
};
use crate::programme::app::{self, AppForm};
use crate::programme::{Actor, Refused};
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

/// The first step: the URL that the customer opens.
pub(super) async fn begin(
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

/// The second step: the code arrives.
pub(super) async fn callback(
    visit: Visit,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Fault> {
    let Some(person) = visit.person.clone() else {
        // The code is not carried through the sign-in: it would be dead by then.
        return Err(Fault::SignIn { next: "/apps".to_owned() });
    };
    let query = query.unwrap_or_default();
    let parameters = Parameters::parse(query.as_bytes());
    let browser = visit.browser.digest();
    let begun = match Begun::of(&visit.site, browser, parameters.value("state")).await {
        Ok(begun) => begun,
        Err(fault) => return Ok(not_begun_here(&visit, fault)),
    };
    let player = Player::of(SignedIn { visit, person }, &begun.client_id).await?;
    let code = parameters.value("code").unwrap_or_default().to_owned();
    let error = parameters.value("error").unwrap_or_default();
    let issuer = parameters.value("iss").unwrap_or_default();
    let right_issuer = issuer == player.staging.base_url;
    let checks = vec![
        Check { good: true, words: "state is the one that this browser sent.".to_owned() },
        Check {
            good: right_issuer,
            words: format!("iss is {issuer}: the environment that was asked (RFC 9207)."),
        },
    ];
    let (title, words) = match (error, code.is_empty() || !right_issuer) {
        ("", false) => (
            "Step 2: the code is here",
            "The customer allowed it. The code is good for one exchange, within a minute."
                .to_owned(),
        ),
        ("access_denied", _) => (
            "Step 2: the customer said no",
            "Your server thanks them, and lets them go on without the connection.".to_owned(),
        ),
        (error, _) => (
            "Step 2: there is no code",
            format!("{error}: {}", parameters.value("error_description").unwrap_or_default()),
        ),
    };
    let held = Held {
        code: if error.is_empty() && right_issuer { code } else { String::new() },
        state: parameters.value("state").unwrap_or_default().to_owned(),
        ..Held::default()
    };
    let raw = RawCall {
        title: "What the browser brought to your redirect URI".to_owned(),
        request: RawPart {
            line: format!("GET /playground/callback?{query} HTTP/1.1"),
            headers: Vec::new(),
            body: String::new(),
        },
        response: None,
    };
    Ok(player.show(Shown { title, words, checks, raw, held, status: StatusCode::OK }))
}

/// What a partner must not take either: a code that somebody else may have asked for.
fn not_begun_here(visit: &Visit, fault: StateFault) -> Response<Body> {
    let page = ToldPage {
        shell: visit.shell("apps"),
        title: "This callback was not begun here",
        words: format!(
            "{} A partner must not take such a code, so it is not shown. Begin again from the page \
             of your app.",
            fault.words()
        ),
        ways: vec![("/apps".to_owned(), "Your apps")],
    };
    visit.page(StatusCode::CONFLICT, &page)
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
        return register(&player).await;
    }
    let step = match form.value("step").unwrap_or_default() {
        "exchange" => exchange(&player, &mut held, form.value("way"), address).await?,
        "refresh" => refresh(&player, &mut held, address).await?,
        "repeat" => repeat(&player, &mut held, address).await?,
        "api" | "introspect" | "userinfo" => {
            look(&player, &mut held, form.value("step").unwrap_or_default(), address).await?
        }
        "revoke" => revoke(&player, &mut held, address).await?,
        _ => return Err(Fault::NotFound),
    };
    let (title, words, answer) = step;
    let raw = answer.raw;
    let (checks, status) = (Vec::new(), StatusCode::OK);
    Ok(player.show(Shown { title, words, checks, raw, held, status }))
}

type Taken = (&'static str, String, Answer);

/// Adds the playground's callback to what the client registered: exactly that, by the same operation
/// as the form of the app.
async fn register(player: &Player) -> Result<Response<Body>, Fault> {
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

/// Steps 3 to 7: the code for tokens.
async fn exchange(
    player: &Player,
    held: &mut Held,
    way: Option<&str>,
    address: IpAddr,
) -> Result<Taken, Fault> {
    let site = player.site();
    let browser = player.by.visit.browser.digest();
    let begun = Begun::of(site, browser, Some(&held.state)).await;
    let begun = begun.ok().filter(|begun| begun.client_id == player.client_id());
    let begun = begun.ok_or(Fault::FormExpired)?;
    let as_guide = way == Some("guide");
    let (code, redirect_uri) = (held.code.clone(), callback_uri(site));
    let verifier = begun.verifier(site);
    let mut parameters = vec![("code", code.as_str()), ("grant_type", "authorization_code")];
    match as_guide {
        true => parameters.push(("client-id", player.client_id())),
        false => parameters.extend(player.own_id()),
    }
    parameters.push(("redirect_uri", &redirect_uri));
    parameters.extend(verifier.as_deref().map(|verifier| ("code_verifier", verifier)));
    let call = Call {
        method: "POST",
        path: "/oauth/token",
        caller: player.caller(&held.secret),
        parameters,
        in_query: as_guide,
        title: "The exchange",
    };
    let answer = call.make(&player.staging, address).await?;
    if answer.status == StatusCode::OK {
        keep(held, &answer);
        held.code = String::new();
        let words = match as_guide {
            true => "The parameters stood in the URL, letter by letter as in the guide. It works, \
                     and URLs end up in logs: put them into the body instead."
                .to_owned(),
            false => "The parameters stood in the body. Keep the refresh token where your server \
                      keeps its secrets, before you use the access token."
                .to_owned(),
        };
        return Ok(("Step 7: a working token", words, answer));
    }
    let words =
        "Nothing was lost: a check that fails burns no code. Mend it and send again, while \
                 the code lives."
            .to_owned();
    Ok(("Step 7: it was refused", words, answer))
}

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

async fn refresh(player: &Player, held: &mut Held, address: IpAddr) -> Result<Taken, Fault> {
    let answer = turn(player, held, &held.refresh_token, "The refresh", address).await?;
    if answer.status != StatusCode::OK {
        let words = "The customer has to connect again: begin with step 1.".to_owned();
        return Ok(("The refresh was refused", words, answer));
    }
    keep(held, &answer);
    let words = "A refresh token works once: the new one replaces it. Store it before you answer \
                 anybody, and let one process alone refresh."
        .to_owned();
    Ok(("Refreshed", words, answer))
}

/// The refresh token of before, once more: as a second worker would, or after a lost answer.
async fn repeat(player: &Player, held: &mut Held, address: IpAddr) -> Result<Taken, Fault> {
    let title = "The same refresh token once more";
    let answer = turn(player, held, &held.former_refresh_token, title, address).await?;
    if answer.status != StatusCode::OK {
        held.access_token = String::new();
        let words = "It was used long ago, and its successor too: that looks like a thief, so the \
                     whole connection ended. The customer has to connect again."
            .to_owned();
        return Ok(("Used twice: the connection ended", words, answer));
    }
    let same = answer.text("refresh_token") == held.refresh_token;
    held.access_token = answer.text("access_token").to_owned();
    held.refresh_token = answer.text("refresh_token").to_owned();
    let words = match same {
        true => {
            "The refresh token in the answer is the same as before: a repeat shortly after the \
                 first time gives the same successor, so a lost answer and two workers end well. \
                 Wait, or use the successor first, and the same repeat ends the connection."
                .to_owned()
        }
        false => "A repeat was answered.".to_owned(),
    };
    Ok(("Used twice, and forgiven", words, answer))
}

async fn turn(
    player: &Player,
    held: &Held,
    refresh_token: &str,
    title: &'static str,
    address: IpAddr,
) -> Result<Answer, Fault> {
    let mut parameters = vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
    parameters.extend(player.own_id());
    let call = Call {
        method: "POST",
        path: "/oauth/token",
        caller: player.caller(&held.secret),
        parameters,
        in_query: false,
        title,
    };
    call.make(&player.staging, address).await
}

/// What the access token opens.
async fn look(
    player: &Player,
    held: &mut Held,
    step: &str,
    address: IpAddr,
) -> Result<Taken, Fault> {
    let mut parameters = Vec::new();
    let financial = held.scope.split(' ').any(|scope| scope == "financial-api");
    let (method, path, title) = match step {
        "introspect" => {
            parameters.push(("token", held.access_token.as_str()));
            parameters.extend(player.own_id());
            ("POST", "/oauth/introspect", "Introspection")
        }
        "userinfo" => ("GET", "/oauth/userinfo", "Who the customer is"),
        _ if financial => ("GET", "/f/data/businesses", "A call of the API"),
        _ => ("GET", "/o/op/data/businesses", "A call of the API"),
    };
    let caller = match step {
        "introspect" => player.caller(&held.secret),
        _ => Caller::Token(&held.access_token),
    };
    let call = Call { method, path, caller, parameters, in_query: false, title };
    let answer = call.make(&player.staging, address).await?;
    let words = match (step, answer.status == StatusCode::OK) {
        (_, false) => "It was refused: the answer says why.",
        ("introspect", true) => "Only the client itself, and the API, may ask this.",
        ("userinfo", true) => "The token was allowed to say who the customer is.",
        (_, true) => {
            "The customer’s businesses. Their ids exceed 2^53: read them as 64-bit integers or as \
             text, never as floating-point numbers."
        }
    };
    Ok((title, words.to_owned(), answer))
}

async fn revoke(player: &Player, held: &mut Held, address: IpAddr) -> Result<Taken, Fault> {
    let token = match held.refresh_token.is_empty() {
        true => held.access_token.clone(),
        false => held.refresh_token.clone(),
    };
    let mut parameters = vec![("token", token.as_str())];
    parameters.extend(player.own_id());
    let call = Call {
        method: "POST",
        path: "/oauth/revoke",
        caller: player.caller(&held.secret),
        parameters,
        in_query: false,
        title: "The revocation",
    };
    let answer = call.make(&player.staging, address).await?;
    let words = "The connection ended. Call the API or refresh once more to see how that looks to \
                 your server."
        .to_owned();
    Ok(("Revoked", words, answer))
}
