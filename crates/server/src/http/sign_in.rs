//! Signing in: the check of an e-mail address and a password, and the session that begins with it.
//! Whoever shows the form decides what comes after.

use grantor_protocol::parameters::Parameters;

use super::request::RequestId;
use super::session::Browser;
use crate::demo;
use crate::password::{Password, PasswordError};
use crate::site::Site;
use crate::store::{NewSession, StoreError};

/// No address is longer, in bytes (RFC 5321 4.5.3.1).
const MAX_EMAIL_BYTES: usize = 254;
/// One text for an unknown address and a wrong password (S19).
pub(super) const WRONG: &str = "The e-mail address or the password is not right. Please try again.";

/// Why nobody is signed in.
pub(super) enum SignInFault {
    /// the address or the password: nobody is told which
    Wrong,
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
/// # Errors
/// [`SignInFault`]
pub(super) async fn sign_in(
    site: &Site,
    request_id: &RequestId,
    former: &Browser,
    form: &Parameters,
) -> Result<Browser, SignInFault> {
    let email = canonical(form.value("email").unwrap_or_default());
    let password = Password::new(form.value("password").unwrap_or_default().to_owned());
    // The demo's words are known to everybody: outside dev they open nothing, whatever is stored.
    let known_word = site.dev.is_none() && password.is(demo::PASSWORD);
    let stored = match email.len() <= MAX_EMAIL_BYTES && !known_word {
        true => site.store.credentials(site.environment, &email).await?,
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
    let Some(stored) = stored.filter(|_| right) else {
        tracing::info!(request.id = request_id.0, "sign_in.refused");
        return Err(SignInFault::Wrong);
    };
    let now = site.clock.now();
    let browser = Browser::new(site);
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

/// One person has one address, however it is typed.
pub(crate) fn canonical(email: &str) -> String {
    email.trim().to_lowercase()
}
