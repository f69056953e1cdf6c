//! Links in mails: who follows one has read the mail.
//!
//! A link is a seal and stands nowhere. It says what it is for, for whom, and until when; what may
//! happen once alone is bound to what the first time changes: an address that is taken, an invitation
//! that is gone, a counter that a new password raises, or the former password itself.

use aws_lc_rs::digest::{SHA256, digest};

use crate::seal::{Kind, NotThisSeal, Reader};
use crate::site::Site;

/// How long a link works that signs up, in seconds.
const SIGN_UP_SECONDS: i64 = 24 * 3600;
/// How long an invitation stands, in seconds.
pub const INVITATION_SECONDS: i64 = 7 * 24 * 3600;
/// How long a link that sets a password works, in seconds.
const RESET_SECONDS: i64 = 3600;

/// What a link is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// to sign up with this address
    SignUp {
        /// in lower case
        email: String,
    },
    /// to take an invitation
    Invitation {
        /// which
        id: [u8; 16],
    },
    /// to set a new password of a person of the portal
    Reset {
        /// whose
        person_id: [u8; 16],
        /// the counter that stood when it was asked for
        counter: i64,
    },
    /// to set a new password of a customer, whose counter no password of their own raises
    CustomerReset {
        /// whose
        customer_id: [u8; 16],
        /// of the password that was forgotten
        former: Former,
    },
}

/// Which password a link takes the place of: a digest of its hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Former([u8; 32]);

impl Former {
    /// The password of that hash, in PHC form.
    pub fn of(password_hash: &str) -> Former {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest(&SHA256, password_hash.as_bytes()).as_ref());
        Former(bytes)
    }
}

impl Link {
    /// The link's address, below the site's base URL.
    pub fn address(&self, site: &Site) -> String {
        let now = site.clock.now();
        let (kind, rest, seconds): (u8, Vec<u8>, i64) = match self {
            Link::SignUp { email } => (1, email.as_bytes().to_vec(), SIGN_UP_SECONDS),
            Link::Invitation { id } => (2, id.to_vec(), INVITATION_SECONDS),
            Link::Reset { person_id, counter } => {
                let mut rest = person_id.to_vec();
                rest.extend_from_slice(&counter.to_be_bytes());
                (3, rest, RESET_SECONDS)
            }
            Link::CustomerReset { customer_id, former } => {
                (4, [customer_id.as_slice(), &former.0].concat(), RESET_SECONDS)
            }
        };
        let mut payload = vec![kind];
        payload.extend_from_slice(&(now + seconds).to_be_bytes());
        payload.extend_from_slice(&rest);
        let path = match self {
            Link::SignUp { .. } => "sign-up",
            Link::Invitation { .. } => "invitation",
            Link::Reset { .. } => "reset",
            Link::CustomerReset { .. } => "account/reset",
        };
        format!("{}/{path}/{}", site.base_url, site.sealer.seal(Kind::Link, &payload, now))
    }

    /// Opens what stands behind such an address. `None` where it is none of ours, or too old.
    pub async fn open(site: &Site, text: &str) -> Option<Link> {
        let opened = site.open(|sealer| sealer.open(Kind::Link, text)).await;
        let payload = match opened {
            Ok(payload) => payload,
            Err(NotThisSeal::Foreign | NotThisSeal::OtherKind(_) | NotThisSeal::UnknownKey) => {
                return None;
            }
        };
        let mut read = Reader(&payload);
        let [kind] = read.array()?;
        if read.integer()? <= site.clock.now() {
            return None;
        }
        match kind {
            1 => Some(Link::SignUp { email: String::from_utf8(read.rest().to_vec()).ok()? }),
            2 => Some(Link::Invitation { id: read.array()? }),
            3 => Some(Link::Reset { person_id: read.array()?, counter: read.integer()? }),
            4 => {
                let (customer_id, former) = (read.array()?, Former(read.array()?));
                Some(Link::CustomerReset { customer_id, former })
            }
            _ => None,
        }
    }
}
