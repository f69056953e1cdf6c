//! What the clients of the simulation do: they connect, exchange, refresh, repeat, go away without
//! waiting, and end what they have, by requests to the routes of one process or the other.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantor_protocol::scope::Scope;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;

use super::ledger::{Fate, Ledger, Standing, Tokens};
use crate::chance::Chance;
use crate::http::ClientAddress;
use crate::seal::CodeSeal;
use crate::site::Site;
use crate::store::{NewConsent, NewGrant};

pub(super) const CLIENT_ID: &str = "devp-staging-test";
pub(super) const SECRET: &str = "no secret";
pub(super) const CUSTOMER_ID: [u8; 16] = [2; 16];
pub(super) const REDIRECT_URI: &str = "https://mycompany.com/callback";

/// What has to come to pass at least once, or the simulation shows nothing.
pub(super) const COUNTED: [&str; 16] = [
    "codes",
    "exchanges granted",
    "exchanges refused",
    "exchanges unavailable",
    "exchanges lost",
    "refreshes granted",
    "refreshes refused",
    "refreshes unavailable",
    "refreshes lost",
    "revocations acknowledged",
    "revocations unanswered",
    "introspections active",
    "introspections inactive",
    "settled alive",
    "settled ended",
    "settled refused",
];

/// One client's worker.
pub(super) struct Partner {
    pub(super) routers: [Router; 2],
    /// Where the customer allows.
    pub(super) site: Arc<Site>,
    pub(super) ledger: Arc<Mutex<Ledger>>,
    pub(super) counts: Arc<Mutex<BTreeMap<&'static str, u64>>>,
    pub(super) chance: Chance,
    pub(super) codes: Vec<String>,
    /// In calm weather it waits for every answer.
    pub(super) waits: bool,
}

impl Partner {
    /// Does that many things.
    pub(super) async fn live(&mut self, things: u64) {
        for _ in 0..things {
            self.one_thing().await;
        }
    }

    async fn one_thing(&mut self) {
        let alive: Vec<String> = {
            let ledger = self.ledger();
            let alive = |code: &&String| matches!(ledger.standing(code), Standing::Alive(_));
            self.codes.iter().filter(alive).cloned().collect()
        };
        let Some(code) = alive.get(self.below(alive.len().max(1))) else {
            return self.begin().await;
        };
        match self.chance.below(16) {
            0..=1 => self.begin().await,
            2..=5 => self.refresh(code, 0).await,
            6..=7 => self.refresh_at_once(code).await,
            8..=9 => {
                self.refresh(code, 0).await;
                self.refresh(code, 1).await;
                self.refresh(code, 0).await;
            }
            10 => self.refresh(code, 2).await,
            11 => self.exchange(code).await,
            12 => self.revoke(code).await,
            13 => self.revoke_and_look(code).await,
            _ => self.introspect(code).await,
        }
    }

    /// The customer allows; the code is exchanged, at times twice at once.
    async fn begin(&mut self) {
        let Some(code) = self.allowed().await else {
            return self.count("codes unavailable");
        };
        self.ledger().code(&code);
        self.count("codes");
        self.codes.push(code.clone());
        if self.chance.below(4) == 0 {
            let mut other = self.beside();
            tokio::join!(self.exchange(&code), other.exchange(&code));
        } else {
            self.exchange(&code).await;
        }
    }

    async fn allowed(&self) -> Option<String> {
        let site = &self.site;
        let now = site.clock.now();
        let scope = Scope::parse("financial-api").unwrap();
        let grant = NewGrant {
            environment: site.environment,
            id: site.random.id(&site.clock),
            client_id: CLIENT_ID.to_owned(),
            customer_id: CUSTOMER_ID,
            customer_counter: 0,
            consent_counter: None,
            scope: scope.clone(),
            businesses: vec![1],
            redirect_uri: REDIRECT_URI.to_owned(),
            code_challenge: None,
            binding: grantor_protocol::grant::Binding::default(),
            openid: None,
            code_expires_at: now + site.settings.code_ttl_seconds,
            ends_at: None,
        };
        let consent = NewConsent { scope: scope.clone(), asked_scope: scope };
        match site.store.allow(&grant, Some(&consent), site.sealer.epoch(), now).await {
            Ok(true) => {
                let code = CodeSeal { grant_id: grant.id, expires_at: grant.code_expires_at };
                Some(site.sealer.code(&code, now))
            }
            Ok(false) => {
                self.ledger().strange("nothing ended, and allowing was refused".to_owned());
                None
            }
            Err(_) => None,
        }
    }

    async fn exchange(&mut self, code: &str) {
        let sent = self.ledger().exchange_sent(code);
        let redirect_uri = "https%3A%2F%2Fmycompany.com%2Fcallback";
        let form = format!("grant_type=authorization_code&code={code}&redirect_uri={redirect_uri}");
        let fate = self.token(form).await;
        self.ledger().exchange_answered(code, sent, &fate);
        self.count(match fate {
            Fate::Granted(_) => "exchanges granted",
            Fate::Refused(_) => "exchanges refused",
            Fate::Unavailable => "exchanges unavailable",
            Fate::Lost => "exchanges lost",
        });
    }

    /// Refreshes with the last token, or with one `back` generations before it.
    async fn refresh(&mut self, code: &str, back: usize) {
        let token = self.ledger().older(code, back);
        if let Some(token) = token {
            self.refresh_with(&token).await;
        }
    }

    /// Three workers that know nothing of each other.
    async fn refresh_at_once(&mut self, code: &str) {
        let token = self.ledger().older(code, 0);
        if let Some(token) = token {
            let (mut second, mut third) = (self.beside(), self.beside());
            tokio::join!(
                self.refresh_with(&token),
                second.refresh_with(&token),
                third.refresh_with(&token)
            );
        }
    }

    async fn refresh_with(&mut self, token: &str) {
        let sent = self.ledger().refresh_sent(token);
        let fate = self.token(format!("grant_type=refresh_token&refresh_token={token}")).await;
        self.ledger().refresh_answered(token, sent, &fate);
        self.count(match fate {
            Fate::Granted(_) => "refreshes granted",
            Fate::Refused(_) => "refreshes refused",
            Fate::Unavailable => "refreshes unavailable",
            Fate::Lost => "refreshes lost",
        });
    }

    async fn revoke(&mut self, code: &str) {
        let token = self.ledger().older(code, 0);
        let Some(token) = token else { return };
        self.ledger().end_sent(&token);
        match self.call("/oauth/revoke", format!("token={token}")).await {
            Some((200, _)) => {
                self.ledger().end_acknowledged(&token);
                self.count("revocations acknowledged");
            }
            Some((503, _)) | None => self.count("revocations unanswered"),
            Some((status, body)) => self.strange("revoke", status, &body),
        }
    }

    /// Several workers refresh and ask while one ends it; then the other process is asked too.
    async fn revoke_and_look(&mut self, code: &str) {
        let (mut second, mut third) = (self.beside(), self.beside());
        tokio::join!(self.revoke(code), second.refresh(code, 0), third.introspect(code));
        self.introspect(code).await;
        self.refresh(code, 0).await;
    }

    async fn introspect(&mut self, code: &str) {
        let tokens = match self.ledger().standing(code) {
            Standing::Alive(tokens) | Standing::Unsure(tokens) | Standing::Ended(tokens) => tokens,
            Standing::Fresh | Standing::Unanswered | Standing::Refused => return,
        };
        let sent = self.ledger().introspection_sent();
        match self.call("/oauth/introspect", format!("token={}", tokens.access)).await {
            Some((200, body)) => {
                let active = body["active"].as_bool().unwrap();
                self.ledger().introspected(&tokens.refresh, sent, active);
                self.count(if active {
                    "introspections active"
                } else {
                    "introspections inactive"
                });
            }
            Some((503, _)) | None => {}
            Some((status, body)) => self.strange("introspect", status, &body),
        }
    }

    /// Goes on with every connection when the storm is over.
    pub(super) async fn settle(&mut self) {
        self.waits = true;
        for code in std::mem::take(&mut self.codes) {
            let standing = self.ledger().standing(&code);
            self.count(match standing {
                Standing::Fresh | Standing::Unanswered => "settled unanswered",
                Standing::Refused => "settled refused",
                Standing::Alive(_) => "settled alive",
                Standing::Unsure(_) => "settled unsure",
                Standing::Ended(_) => "settled ended",
            });
            match standing {
                Standing::Fresh | Standing::Unanswered => self.calmly(&code, None).await,
                Standing::Refused => {}
                Standing::Alive(tokens) | Standing::Unsure(tokens) | Standing::Ended(tokens) => {
                    self.calmly(&code, Some(&tokens.refresh)).await;
                }
            }
        }
    }

    /// In calm weather everything is answered.
    async fn calmly(&mut self, code: &str, token: Option<&str>) {
        let unanswered = |partner: &Partner| {
            let counts = partner.counts.lock().unwrap();
            let unanswered = |what: &&str| counts.get(*what).copied().unwrap_or_default();
            ["exchanges unavailable", "refreshes unavailable"].iter().map(unanswered).sum::<u64>()
        };
        let before = unanswered(self);
        match token {
            Some(token) => self.refresh_with(token).await,
            None => self.exchange(code).await,
        }
        if unanswered(self) != before {
            self.ledger().strange("unavailable in calm weather".to_owned());
        }
    }

    /// What became of a form at the token endpoint.
    async fn token(&mut self, form: String) -> Fate {
        let Some((status, body)) = self.call("/oauth/token", form).await else {
            return Fate::Lost;
        };
        let member = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        match (status, member("error").as_str()) {
            (200, _) => Fate::Granted(Tokens {
                access: member("access_token"),
                refresh: member("refresh_token"),
            }),
            (400, "invalid_grant") => Fate::Refused(member("error_description")),
            (503, _) => Fate::Unavailable,
            _ => {
                self.strange("token", status, &body);
                Fate::Lost
            }
        }
    }

    /// What either process answers, if this client waits for it.
    async fn call(&mut self, path: &str, form: String) -> Option<(u16, serde_json::Value)> {
        let credentials = STANDARD.encode(format!("{CLIENT_ID}:{SECRET}"));
        let request = Request::post(path)
            .header("authorization", format!("Basic {credentials}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .extension(ClientAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)))
            .body(Body::from(form))
            .unwrap();
        let router = self.routers[self.below(2)].clone();
        let goes_away = !self.waits && self.chance.below(12) == 0;
        let patience = if goes_away { 1 + self.below(12) } else { usize::MAX };
        let answer = async {
            let response = router.oneshot(request).await.unwrap_or_else(|never| match never {});
            let status = response.status().as_u16();
            let body = response.into_body().collect().await.unwrap().to_bytes();
            (status, serde_json::from_slice(&body).unwrap_or_default())
        };
        abandoned_after(patience, answer).await
    }

    fn strange(&self, what: &str, status: u16, body: &serde_json::Value) {
        self.ledger().strange(format!("{what} answered {status}: {body}"));
    }

    /// Another worker of the same client.
    fn beside(&mut self) -> Partner {
        Partner {
            routers: self.routers.clone(),
            site: Arc::clone(&self.site),
            ledger: Arc::clone(&self.ledger),
            counts: Arc::clone(&self.counts),
            chance: self.chance.split(),
            codes: Vec::new(),
            waits: self.waits,
        }
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.chance.below(end as u64)).unwrap()
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap()
    }

    fn count(&self, what: &'static str) {
        *self.counts.lock().unwrap().entry(what).or_insert(0) += 1;
    }
}

/// The answer, unless it takes more looks than that: then whoever waited is gone.
async fn abandoned_after<T>(looks: usize, answer: impl Future<Output = T>) -> Option<T> {
    let mut answer = pin!(answer);
    let mut looked = 0;
    std::future::poll_fn(|context| match answer.as_mut().poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => {
            looked += 1;
            if looked >= looks { Poll::Ready(None) } else { Poll::Pending }
        }
    })
    .await
}
