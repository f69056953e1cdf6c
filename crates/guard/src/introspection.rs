//! Tokens that the API cannot read itself, sealed or foreign: the server is asked (RFC 7662).
//!
//! 1. what was asked a moment ago is answered again, for [`KEPT_SECONDS`] after it was asked: a
//!    revocation counts after that at the latest;
//! 2. requests with one token that wait at the same time ask once, within the same bound;
//! 3. an answer is taken for a decision only where all that a decision needs stands in it: also the
//!    API that the token is for, and where it names an issuer, the one that is trusted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use axum::http::header::HeaderValue;
use grantor_protocol::client::ClientSecret;
use grantor_protocol::client_authentication::BasicCredentials;
use grantor_protocol::jose::{Claims, Value};
use grantor_protocol::parameters::form_encoded;
use tokio::sync::OnceCell;
use zeroize::Zeroizing;

use crate::access::Access;
use crate::cache::{Cache, Key};
use crate::clock::Clock;
use crate::fetch::Http;
use crate::refusal::Refusal;

/// For how long an answer is kept, in seconds, unless the API chooses less.
pub const KEPT_SECONDS: i64 = 2;
/// No API may keep one longer, in seconds.
pub const MOST_KEPT_SECONDS: i64 = 5;

/// Above so many questions under way the list of them is tidied.
const TIDY_ABOVE: usize = 1024;
/// What a question comes to: a living token, one that opens nothing, or no answer.
type Outcome = Result<Option<Arc<Access>>, NoAnswer>;

/// The server cannot be asked just now, or says what is not understood. The log has it.
#[derive(Clone, Copy)]
struct NoAnswer;

/// Who is asked, and as whom.
pub(crate) struct Endpoint {
    pub(crate) url: String,
    pub(crate) authorization: HeaderValue,
    /// Whose tokens are taken.
    pub(crate) issuer: String,
}

/// The questions to one endpoint, and what was answered lately.
pub(crate) struct Introspection {
    endpoint: Endpoint,
    http: Http,
    clock: Clock,
    kept_seconds: i64,
    living: Cache<Arc<Access>>,
    /// Apart from the living, so that nobody pushes those out with made-up tokens.
    dead: Cache<()>,
    under_way: Mutex<HashMap<Key, Weak<Question>>>,
}

/// A question about one token.
struct Question {
    /// When it was first asked. Whoever asks it again, because that caller went away, does so later.
    since: i64,
    outcome: OnceCell<Outcome>,
}

/// How long and how much an API keeps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) kept_seconds: i64,
    pub(crate) most_kept: usize,
}

impl Introspection {
    pub(crate) fn at(endpoint: Endpoint, http: Http, clock: Clock, room: Room) -> Introspection {
        Introspection {
            endpoint,
            http,
            clock,
            kept_seconds: room.kept_seconds,
            living: Cache::new(room.most_kept),
            dead: Cache::new(room.most_kept),
            under_way: Mutex::default(),
        }
    }

    /// What a token opens.
    ///
    /// # Errors
    /// [`Refusal::Invalid`]; [`Refusal::Unavailable`] where no answer comes.
    pub(crate) async fn ask(&self, token: &str, key: Key) -> Result<Arc<Access>, Refusal> {
        let now = self.clock.now();
        if let Some(access) = self.living.find(&key, now) {
            return Ok(access);
        }
        if self.dead.find(&key, now).is_some() {
            return Err(Refusal::Invalid);
        }
        let question = self.question(key, now);
        let outcome = question.outcome.get_or_init(|| self.answer(key, token)).await;
        match outcome {
            Ok(Some(access)) => Ok(Arc::clone(access)),
            Ok(None) => Err(Refusal::Invalid),
            Err(NoAnswer) => Err(Refusal::Unavailable),
        }
    }

    /// The question about this token that is under way, or a new one. One that was asked too long ago
    /// for its answer to be kept is too old to be joined, however slow the answer is: what ended
    /// since then would open. So where nothing is kept, nobody joins.
    fn question(&self, key: Key, now: i64) -> Arc<Question> {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(question) = under_way.get(&key).and_then(Weak::upgrade) {
            let is_young = (0..self.kept_seconds).contains(&(now - question.since));
            // One that was answered is over: it lives only until its callers have gone.
            if is_young && !question.outcome.initialized() {
                return question;
            }
        }
        if under_way.len() >= TIDY_ABOVE {
            under_way.retain(|_, question| question.strong_count() > 0);
        }
        let question = Arc::new(Question { since: now, outcome: OnceCell::new() });
        under_way.insert(key, Arc::downgrade(&question));
        question
    }

    async fn answer(&self, key: Key, token: &str) -> Outcome {
        // Before the question: what ends while it is answered must not count for longer.
        let since = self.clock.now();
        let kept = [since, since + self.kept_seconds];
        let form = format!("token={}&token_type_hint=access_token", form_encoded(token));
        let Endpoint { url, authorization, .. } = &self.endpoint;
        let answered = self.http.post(url, authorization, form).await;
        let body = answered.map_err(|fault| self.no_answer(&fault.to_string()))?;
        let claims = Claims::parse(&body).map_err(|fault| self.no_answer(&fault.words()))?;
        let is_active = claims.value("active").and_then(Value::as_bool);
        let is_active = is_active.ok_or_else(|| self.no_answer("it has no member active"))?;
        if !is_active || !is_access_token(&claims) {
            self.dead.keep(key, (), kept);
            return Ok(None);
        }
        let access = Access::read(&claims).ok_or_else(|| {
            self.no_answer(
                "it says of a living token not all of sub, client_id and exp, or something that \
                 cannot be checked here",
            )
        })?;
        if let Some(lack) = self.lack(&claims, &access)? {
            tracing::warn!(url, lack, "guard.token_not_taken");
            self.dead.keep(key, (), kept);
            return Ok(None);
        }
        let access = Arc::new(access);
        self.living.keep(key, Arc::clone(&access), kept);
        Ok(Some(access))
    }

    /// What RFC 7662 2.2 leaves to the server, and no token is taken without, in words for the
    /// operator of the API: its caller can mend none of it.
    fn lack(&self, claims: &Claims<'_>, access: &Access) -> Result<Option<&'static str>, NoAnswer> {
        let issuer = claims.optional_text("iss").map_err(|fault| self.no_answer(&fault.words()))?;
        if issuer.is_some_and(|issuer| issuer != self.endpoint.issuer) {
            return Ok(Some("the server says that another issuer gave this token"));
        }
        let is_for_none = access.audience.is_empty();
        Ok(is_for_none.then_some("the server does not say (aud) which API this token is for"))
    }

    /// Tells the operator of the API, who alone can mend it.
    fn no_answer(&self, error: &str) -> NoAnswer {
        tracing::error!(url = self.endpoint.url, error, "guard.introspection_failed");
        NoAnswer
    }
}

/// RFC 7662 2.2. A refresh token is active too, for its own client: what says of itself neither
/// `Bearer` nor `DPoP` is no access token.
fn is_access_token(claims: &Claims<'_>) -> bool {
    claims
        .text("token_type")
        .is_ok_and(|kind| ["bearer", "dpop"].iter().any(|known| kind.eq_ignore_ascii_case(known)))
}

/// The `Authorization` of a client (RFC 6749 2.3.1); `None` where it cannot stand in a header.
pub(crate) fn basic(client_id: &str, client_secret: &str) -> Option<HeaderValue> {
    let secret = ClientSecret::new(client_secret.to_owned());
    let header = Zeroizing::new(BasicCredentials::encoded_header(client_id, &secret));
    let mut header = HeaderValue::from_str(&header).ok()?;
    header.set_sensitive(true);
    Some(header)
}
