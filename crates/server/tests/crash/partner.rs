//! The partner's side: one client of the server, and the browser of one customer who allowed it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reqwest::cookie::Jar;
use reqwest::redirect::Policy;

use crate::harness::{Browser, basic, encode, form_body, query};
use crate::ledger::{Fate, Tokens};
use crate::server::{Installed, PASSWORD};

/// What outlives every server.
pub(crate) struct Partner {
    http: reqwest::Client,
    browser: Browser,
    cookies: Arc<Jar>,
    base_url: String,
    authorization: String,
    redirect_uri: String,
    authorize_url: String,
    /// Whether this server has them.
    revocation: bool,
    introspection: bool,
    /// How many requests got no whole answer.
    lost: AtomicU64,
}

impl Partner {
    /// Signs in and allows the client, once for all.
    pub(crate) async fn connect(installed: &Installed) -> Partner {
        let cookies = Arc::new(Jar::default());
        let redirect_uri = installed.redirect_uri.clone();
        let mut partner = Partner {
            http: reqwest::Client::new(),
            browser: browser(&cookies),
            base_url: installed.base_url(),
            authorization: basic(&installed.client_id, &installed.client_secret),
            authorize_url: format!(
                "{}/oauth/authorize?client_id={}&response_type=code&redirect_uri={}",
                installed.base_url(),
                installed.client_id,
                encode(&redirect_uri)
            ),
            redirect_uri,
            revocation: false,
            introspection: false,
            lost: AtomicU64::new(0),
            cookies,
        };
        let page = partner.browser.get(&partner.authorize_url).await;
        partner.browser.sign_in_as(&page, crate::server::EMAIL, PASSWORD).await;
        let target = partner.browser.allow(&partner.authorize_url).await;
        assert!(target.contains("code="), "{target}");
        partner.revocation = partner.answers("/oauth/revoke").await;
        partner.introspection = partner.answers("/oauth/introspect").await;
        partner
    }

    /// The same partner on connections that know nothing of a server that is dead.
    pub(crate) fn afresh(&self) -> Partner {
        Partner {
            http: reqwest::Client::new(),
            browser: browser(&self.cookies),
            cookies: Arc::clone(&self.cookies),
            base_url: self.base_url.clone(),
            authorization: self.authorization.clone(),
            redirect_uri: self.redirect_uri.clone(),
            authorize_url: self.authorize_url.clone(),
            revocation: self.revocation,
            introspection: self.introspection,
            lost: AtomicU64::new(0),
        }
    }

    /// Whether revocation is one of the ways to end a family here.
    pub(crate) fn can_revoke(&self) -> bool {
        self.revocation
    }

    /// A code, in silence: the customer allowed it before. `Ok(None)` where no code came because
    /// the server is away.
    pub(crate) async fn code(&self) -> Result<Option<String>, String> {
        let Ok(answer) = self.browser.http.get(&self.authorize_url).send().await else {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Ok(None);
        };
        let status = answer.status().as_u16();
        let target = answer.headers().get("location").and_then(|value| value.to_str().ok());
        match target.and_then(|target| query(target, "code")) {
            Some(code) => Ok(Some(code)),
            None if status == 503 => Ok(None),
            None => Err(format!("authorize answered {status}, to {target:?}")),
        }
    }

    pub(crate) async fn exchange(&self, code: &str) -> Result<Fate, String> {
        let redirect_uri = ("redirect_uri", self.redirect_uri.as_str());
        self.token(&[("grant_type", "authorization_code"), ("code", code), redirect_uri]).await
    }

    pub(crate) async fn refresh(&self, token: &str) -> Result<Fate, String> {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// Revokes (RFC 7009). Whether it was acknowledged; `Ok(false)` where the server is away.
    pub(crate) async fn revoke(&self, token: &str) -> Result<bool, String> {
        match self.post("/oauth/revoke", &[("token", token)]).await {
            Some((200, _)) => Ok(true),
            Some((503, _)) | None => Ok(false),
            Some((status, text)) => Err(format!("revoke answered {status}: {text}")),
        }
    }

    /// Whether an access token is active (RFC 7662). `Ok(None)` where nobody says.
    pub(crate) async fn is_active(&self, token: &str) -> Result<Option<bool>, String> {
        if !self.introspection {
            return Ok(None);
        }
        match self.post("/oauth/introspect", &[("token", token)]).await {
            Some((200, text)) => match json(&text)["active"].as_bool() {
                Some(active) => Ok(Some(active)),
                None => Err(format!("introspect answered {text}")),
            },
            Some((503, _)) | None => Ok(None),
            Some((status, text)) => Err(format!("introspect answered {status}: {text}")),
        }
    }

    /// The status of `/readyz`, or nothing.
    pub(crate) async fn readiness(&self) -> Option<u16> {
        let url = format!("{}/readyz", self.base_url);
        Some(self.http.get(url).send().await.ok()?.status().as_u16())
    }

    async fn token(&self, form: &[(&str, &str)]) -> Result<Fate, String> {
        let Some((status, text)) = self.post("/oauth/token", form).await else {
            return Ok(Fate::Lost);
        };
        let body = json(&text);
        let member = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        match (status, member("error").as_str()) {
            (200, _) => Ok(Fate::Granted(Tokens {
                access: member("access_token"),
                refresh: member("refresh_token"),
            })),
            (400, "invalid_grant") => Ok(Fate::Refused(member("error_description"))),
            (503, _) => Ok(Fate::Unavailable),
            _ => Err(format!("token answered {status}: {text}")),
        }
    }

    /// How many requests got no whole answer, since these connections were made.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Status and body, where the answer came whole.
    async fn post(&self, path: &str, form: &[(&str, &str)]) -> Option<(u16, String)> {
        let answer = self.send(path, form).await;
        if answer.is_none() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        answer
    }

    async fn send(&self, path: &str, form: &[(&str, &str)]) -> Option<(u16, String)> {
        let request = self
            .http
            .post(format!("{}{path}", self.base_url))
            .header("Authorization", &self.authorization)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(form_body(form));
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        Some((status, response.text().await.ok()?))
    }

    async fn answers(&self, path: &str) -> bool {
        let (status, _) = self.post(path, &[("token", "none")]).await.expect("no answer");
        status != 404
    }
}

fn browser(cookies: &Arc<Jar>) -> Browser {
    let http = reqwest::Client::builder()
        .redirect(Policy::none())
        .cookie_provider(Arc::clone(cookies))
        .build()
        .unwrap();
    Browser { http }
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_default()
}
