//! Webhooks: what a partner is told at an address of its own, in the form of the Standard Webhooks
//! specification.
//!
//! 1. `event.rs` names what there is to tell, and writes the body of a call;
//! 2. [`WebhookSecret`] signs it: the receiver so knows that it comes from here, and when;
//! 3. `crate::outbox` carries it out, and tries again where it was not taken.

mod event;

pub(crate) use event::time;
pub use event::{Ended, EndedBy, Event, EventType, Notice, Reused};

use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::hex::hex;
use crate::random::Random;

/// What the text of a secret begins with.
const SECRET_PREFIX: &str = "whsec_";
/// What the name of a call begins with.
const ID_PREFIX: &str = "msg_";
/// A secret has this many bytes. The specification wants 24 to 64.
const SECRET_BYTES: usize = 32;

/// What signs the calls to an endpoint. It is shown once and does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Zeroizing<Vec<u8>>);

/// The headers that make a call a signed one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeaders {
    /// `webhook-id`: the same each time that a call is tried again, so that a receiver can drop it.
    pub id: String,
    /// `webhook-timestamp`: of this try, in Unix seconds.
    pub timestamp: String,
    /// `webhook-signature`: one for each secret.
    pub signature: String,
}

impl WebhookSecret {
    /// Draws one.
    pub fn generate(random: &Random) -> WebhookSecret {
        WebhookSecret(Zeroizing::new(random.bytes::<SECRET_BYTES>().to_vec()))
    }

    /// Reads the text of one; `None` where it is none, or too short to keep anybody out.
    pub fn parse(text: &str) -> Option<WebhookSecret> {
        let bytes = STANDARD.decode(text.strip_prefix(SECRET_PREFIX)?).ok()?;
        WebhookSecret::from_bytes(bytes)
    }

    /// From what stands at rest.
    pub fn from_bytes(bytes: Vec<u8>) -> Option<WebhookSecret> {
        let bytes = Zeroizing::new(bytes);
        (24..=64).contains(&bytes.len()).then_some(WebhookSecret(bytes))
    }

    /// What is encrypted at rest.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The text that the partner is shown, once.
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{SECRET_PREFIX}{}", STANDARD.encode(self.as_bytes())))
    }

    /// One signature (Standard Webhooks, "Signature scheme", symmetric).
    fn sign(&self, id: &str, timestamp: &str, body: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.as_bytes());
        let mut context = hmac::Context::with_key(&key);
        for part in [id, ".", timestamp, ".", body] {
            context.update(part.as_bytes());
        }
        format!("v1,{}", STANDARD.encode(context.sign().as_ref()))
    }
}

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret")
    }
}

/// The name of a call: of one event, to whichever endpoint it goes.
pub fn message_name(id: [u8; 16]) -> String {
    format!("{ID_PREFIX}{}", hex(&id))
}

/// Signs a call with each of the endpoint's secrets: while one is changed, the receiver may verify
/// by either.
pub fn sign(secrets: &[WebhookSecret], id: &str, body: &str, now: i64) -> SignedHeaders {
    let timestamp = now.to_string();
    let signatures: Vec<String> =
        secrets.iter().map(|secret| secret.sign(id, &timestamp, body)).collect();
    SignedHeaders { id: id.to_owned(), timestamp, signature: signatures.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example that the specification's own libraries are tested by.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &str = r#"{"test": 2432232314}"#;

    #[test]
    fn a_signature_is_that_of_the_published_example() {
        let secret = WebhookSecret::parse(SECRET).unwrap();
        let signed = sign(&[secret], ID, BODY, 1_614_265_330);
        assert_eq!(signed.signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!((signed.id.as_str(), signed.timestamp.as_str()), (ID, "1614265330"));
    }

    #[test]
    fn while_a_secret_is_changed_both_sign() {
        let one = WebhookSecret::parse(SECRET).unwrap();
        let two = WebhookSecret::generate(&Random::system());
        let alone =
            |secret: &WebhookSecret| sign(std::slice::from_ref(secret), ID, BODY, 7).signature;
        let both = sign(&[one.clone(), two.clone()], ID, BODY, 7);
        assert_eq!(both.signature, format!("{} {}", alone(&one), alone(&two)));
    }

    #[test]
    fn s28_a_secret_is_read_as_it_is_shown_and_does_not_print() {
        let secret = WebhookSecret::generate(&Random::system());
        let text = secret.to_text();
        assert_eq!(WebhookSecret::parse(&text).unwrap(), secret);
        assert_eq!(format!("{secret:?}"), "WebhookSecret");
        for wrong in ["", "whsec_", "whsec_AAAA", "whsec_!", &text["whsec_".len()..]] {
            assert!(WebhookSecret::parse(wrong).is_none(), "{wrong}");
        }
    }
}
