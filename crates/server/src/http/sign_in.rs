//! Signing in: the check of an e-mail address and a password, and the session that begins with it.
//! Whoever shows the form decides what comes after.

use std::net::IpAddr;

use grantor_protocol::parameters::Parameters;

use super::request::RequestId;
use super::session::Browser;
use crate::demo;
use crate::password::{Password, PasswordError};
use crate::site::Site;
use crate::store::{Credentials, NewSession, StoreError};
use crate::throttle::{Caller, Credential, NotTaken, Subject};

/// No address is longer, in bytes (RFC 5321 4.5.3.1).
const MAX_EMAIL_BYTES: usize = 254;
/// One text for an unknown address and a wrong password (S19).
pub(super) const WRONG: &str = "The e-mail address or the password is not right. Please try again.";

/// Why nobody is signed in.
pub(super) enum SignInFault {
    /// the address or the password: nobody is told which
    Wrong,
    /// too many were tried in vain: nobody is told whether there is such an account
    TooMany {
        /// until the next one is taken
        wait_seconds: i64,
    },
    /// too many at once
    Busy,
    /// the password was changed between the check and the session
    Changed,
    /// the store failed
    Store(StoreError),
}

impl From<StoreError> for SignInFault {
    fn from(error: StoreError) -> SignInFault {
        SignInFault::Store(error)
    }
}

/// Checks the password of a form, and begins a session with a new id in the place of `former`.
///
/// A try is taken before anything is looked up or hashed: many at once are counted each (S20).
///
/// # Errors
/// [`SignInFault`]
pub(super) async fn sign_in(
    site: &Site,
    request_id: &RequestId,
    (former, address): (&Browser, IpAddr),
    form: &Parameters,
) -> Result<Browser, SignInFault> {
    let email = canonical(form.value("email").unwrap_or_default());
    let subject = Subject::new(Credential::Password, email.as_bytes());
    let known = former.known(site);
    let caller = Caller { address, browser: known.as_ref() };
    let taken =
        site.throttle.take(&subject, caller).await.map_err(|not| refused(request_id, not))?;
    let stored = match check(site, request_id, &email, form).await {
        Ok(stored) => stored,
        // Nothing was tried.
        Err(fault @ (SignInFault::Busy | SignInFault::Store(_))) => {
            site.throttle.give_back(taken).await;
            return Err(fault);
        }
        Err(fault) => return Err(fault),
    };
    site.throttle.right(taken).await;
    let now = site.clock.now();
    let browser = Browser::signed_in(site, former, &subject);
    let session = NewSession {
        environment: site.environment,
        id_digest: browser.digest(),
        customer_id: stored.customer_id,
        customer_counter: stored.counter,
        password_hash: stored.password_hash,
        epoch: site.sealer.epoch(),
        signed_in_at: now,
        expires_at: now + site.settings.session_ttl_seconds,
    };
    match site.store.begin_session(&session, Some(former.digest())).await? {
        true => Ok(browser),
        false => Err(SignInFault::Changed),
    }
}

fn refused(request_id: &RequestId, not_taken: NotTaken) -> SignInFault {
    match not_taken {
        NotTaken::TooMany { wait_seconds } => {
            tracing::info!(request.id = request_id.0, wait_seconds, "sign_in.throttled");
            SignInFault::TooMany { wait_seconds }
        }
        NotTaken::Store(error) => SignInFault::Store(error),
    }
}

/// Checks the password, in the same time whether there is such an account or not (S19).
async fn check(
    site: &Site,
    request_id: &RequestId,
    email: &str,
    form: &Parameters,
) -> Result<Credentials, SignInFault> {
    let password = Password::new(form.value("password").unwrap_or_default().to_owned());
    // The demo's words are known to everybody: outside dev they open nothing, whatever is stored.
    let known_word = site.dev.is_none() && password.is(demo::PASSWORD);
    let stored = match email.len() <= MAX_EMAIL_BYTES && !known_word {
        true => site.store.credentials(site.environment, email).await?,
        false => None,
    };
    let hash = stored.as_ref().map(|stored| stored.password_hash.clone());
    let right = match site.passwords.verify(password, hash).await {
        Ok(right) => right,
        Err(PasswordError::Busy) => return Err(SignInFault::Busy),
        Err(error @ (PasswordError::Corrupt | PasswordError::Length)) => {
            tracing::error!(request.id = request_id.0, %error, "sign_in.hash");
            false
        }
    };
    stored.filter(|_| right).ok_or_else(|| {
        tracing::info!(request.id = request_id.0, "sign_in.refused");
        SignInFault::Wrong
    })
}

/// One person has one address, however it is typed.
pub(crate) fn canonical(email: &str) -> String {
    email.trim().to_lowercase()
}
