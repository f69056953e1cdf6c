//! Seals: codes, refresh tokens and opaque access tokens, computed and never stored.
//!
//! ```text
//! gr_access_  Base64url( version · key id · epoch · payload · HMAC-SHA-256 )
//! ```
//!
//! 1. [`Sealer::code`], [`Sealer::refresh`] and [`Sealer::access`] write one;
//! 2. [`Sealer::open_code`] and its sisters check the MAC, then read the payload;
//! 3. [`Sealer::replace`] hands it other keys while it works: `ring.rs` is what it holds of them;
//! 4. what is no token and travels all the same is sealed too: `progress.rs`.
//!
//! The MAC's key derives from the environment's sealing key, the environment and the kind, so that
//! nothing of one environment or kind is valid in another, and whoever reads the whole database can
//! forge nothing. The prefix is there for secret scanners. Because a seal is computed, the same
//! successor of a refresh token can be computed again.

mod progress;
mod ring;

use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor_protocol::environment::Environment;
use grantor_protocol::grant::Binding;
use grantor_protocol::resource::Resources;
use grantor_protocol::scope::Scope;

pub use progress::ProgressSeal;
pub use ring::{Ring, SealingKey};

const VERSION: u8 = 1;
const MAC_BYTES: usize = 32;
/// version, key id, epoch
const HEADER_BYTES: usize = 1 + 4 + 8;
/// No seal is longer, in bytes of text: what is longer is not even decoded. It has room for an
/// access token with the longest scope that a request can name.
const MAX_TEXT_BYTES: usize = 8 * 1024;

/// What a seal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// an authorization code
    Code,
    /// a refresh token
    Refresh,
    /// an access token
    Access,
    /// an access token of a client itself
    ClientAccess,
    /// how far a customer came in one authorization request
    Progress,
    /// a server nonce of RFC 9449
    DpopNonce,
    /// What the page about a device showed.
    Device,
    /// where the next part of a list begins
    Cursor,
    /// What a link in a mail carries.
    Link,
    /// what was done right before, for the page that says so
    Notice,
    /// in whose account a browser has signed in
    KnownBrowser,
    /// the name of a tally of tries; it leaves the server nowhere
    Tally,
    /// the `state` of a request that the portal's playground begins
    Playground,
    /// the PKCE verifier of such a request, computed again when it is needed
    Verifier,
    /// what a form of ours carries to show that the browser got it from us
    Csrf,
}

/// An authorization code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeSeal {
    /// the grant that it redeems
    pub grant_id: [u8; 16],
    /// in Unix seconds
    pub expires_at: i64,
}

/// A refresh token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefreshSeal {
    /// the grant that it turns
    pub grant_id: [u8; 16],
    /// from this generation
    pub generation: i64,
    /// in Unix seconds
    pub expires_at: i64,
}

/// An opaque access token. It answers as seal ∩ row: never more than stands in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessSeal {
    /// the grant that it belongs to
    pub grant_id: [u8; 16],
    /// at which generation it was made
    pub generation: i64,
    /// in Unix seconds
    pub expires_at: i64,
    /// in Unix seconds
    pub issued_at: i64,
    /// its own id, so that it alone can be revoked
    pub token_id: [u8; 8],
    /// what it may do, of what was granted
    pub scope: Scope,
    /// for which APIs and which key it is
    pub binding: Binding,
}

/// An opaque access token of a client itself (RFC 6749 4.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAccessSeal {
    /// the key of the client
    pub client_key: i64,
    /// the counter that the client had
    pub counter: i64,
    /// in Unix seconds
    pub expires_at: i64,
    /// in Unix seconds
    pub issued_at: i64,
    /// its own id, so that it alone can be revoked
    pub token_id: [u8; 8],
    /// what it may do
    pub scope: Scope,
    /// for which APIs and which key it is
    pub binding: Binding,
}

/// Why a text is not the seal that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotThisSeal {
    /// Not made by this environment's keys in this epoch (a refresh token: or an earlier one), or
    /// changed since.
    Foreign,
    /// Genuine, but of another kind.
    OtherKind(Kind),
    /// It names a key that is not here: one that is gone, one that is newer than what was read of
    /// the keys, or none at all. `Site::open` finds out which.
    UnknownKey,
}

/// Makes and opens the seals of one environment.
pub struct Sealer {
    environment: Environment,
    ring: RwLock<Arc<Ring>>,
}

impl Kind {
    const ALL: [Kind; Kind::Csrf as usize + 1] = [
        Kind::Code,
        Kind::Refresh,
        Kind::Access,
        Kind::ClientAccess,
        Kind::Progress,
        Kind::DpopNonce,
        Kind::Device,
        Kind::Cursor,
        Kind::Link,
        Kind::Notice,
        Kind::KnownBrowser,
        Kind::Tally,
        Kind::Playground,
        Kind::Verifier,
        Kind::Csrf,
    ];

    /// What it begins with.
    pub fn prefix(self) -> &'static str {
        match self {
            Kind::Code => "gr_code_",
            Kind::Refresh => "gr_refresh_",
            Kind::Access => "gr_access_",
            Kind::ClientAccess => "gr_client_",
            Kind::Progress => "gr_progress_",
            Kind::DpopNonce => "gr_nonce_",
            Kind::Device => "gr_approval_",
            Kind::Cursor => "gr_cursor_",
            Kind::Link => "gr_link_",
            Kind::Notice => "gr_notice_",
            Kind::KnownBrowser => "gr_browser_",
            Kind::Tally => "gr_tally_",
            Kind::Playground => "gr_state_",
            Kind::Verifier => "gr_verifier_",
            Kind::Csrf => "gr_form_",
        }
    }
}

impl Sealer {
    /// Begins with these keys.
    pub fn new(ring: Ring) -> Sealer {
        Sealer { environment: ring.environment(), ring: RwLock::new(Arc::new(ring)) }
    }

    /// Works with these keys of the same environment from now on.
    pub fn replace(&self, ring: Ring) {
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
    }

    /// The keys that it works with now.
    pub fn ring(&self) -> Arc<Ring> {
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The environment whose seals these are.
    pub fn environment(&self) -> Environment {
        self.environment
    }

    /// The epoch that stands in each of them.
    pub fn epoch(&self) -> i64 {
        self.ring().epoch()
    }

    /// Writes a code.
    pub fn code(&self, code: &CodeSeal, now: i64) -> String {
        let mut payload = Vec::with_capacity(24);
        payload.extend_from_slice(&code.grant_id);
        payload.extend_from_slice(&code.expires_at.to_be_bytes());
        self.seal(Kind::Code, &payload, now)
    }

    /// Writes a refresh token. `turned_at` is when its generation began: a repeat must find the key
    /// that was the newest then, or the successor would not be the same.
    pub fn refresh(&self, refresh: &RefreshSeal, turned_at: i64) -> String {
        let mut payload = Vec::with_capacity(32);
        payload.extend_from_slice(&refresh.grant_id);
        payload.extend_from_slice(&refresh.generation.to_be_bytes());
        payload.extend_from_slice(&refresh.expires_at.to_be_bytes());
        self.seal(Kind::Refresh, &payload, turned_at)
    }

    /// Writes an access token.
    pub fn access(&self, access: &AccessSeal) -> String {
        let allowed = allowed(&access.scope, &access.binding);
        let mut payload = Vec::with_capacity(48 + allowed.len());
        payload.extend_from_slice(&access.grant_id);
        payload.extend_from_slice(&access.generation.to_be_bytes());
        payload.extend_from_slice(&access.expires_at.to_be_bytes());
        payload.extend_from_slice(&access.issued_at.to_be_bytes());
        payload.extend_from_slice(&access.token_id);
        payload.extend_from_slice(allowed.as_bytes());
        self.seal(Kind::Access, &payload, access.issued_at)
    }

    /// Writes an access token of a client itself.
    pub fn client_access(&self, access: &ClientAccessSeal) -> String {
        let allowed = allowed(&access.scope, &access.binding);
        let mut payload = Vec::with_capacity(40 + allowed.len());
        payload.extend_from_slice(&access.client_key.to_be_bytes());
        payload.extend_from_slice(&access.counter.to_be_bytes());
        payload.extend_from_slice(&access.expires_at.to_be_bytes());
        payload.extend_from_slice(&access.issued_at.to_be_bytes());
        payload.extend_from_slice(&access.token_id);
        payload.extend_from_slice(allowed.as_bytes());
        self.seal(Kind::ClientAccess, &payload, access.issued_at)
    }

    /// Opens an access token of a client itself.
    ///
    /// # Errors
    /// [`NotThisSeal`].
    pub fn open_client_access(&self, text: &str) -> Result<ClientAccessSeal, NotThisSeal> {
        let payload = self.open(Kind::ClientAccess, text)?;
        let mut read = Reader(&payload);
        let seal = (|| {
            let (client_key, counter) = (read.integer()?, read.integer()?);
            let (expires_at, issued_at) = (read.integer()?, read.integer()?);
            let token_id = read.array()?;
            let (scope, binding) = read_allowed(read.rest())?;
            Some(ClientAccessSeal {
                client_key,
                counter,
                expires_at,
                issued_at,
                token_id,
                scope,
                binding,
            })
        })();
        seal.ok_or(NotThisSeal::Foreign)
    }

    /// Opens a code.
    ///
    /// # Errors
    /// [`NotThisSeal`].
    pub fn open_code(&self, text: &str) -> Result<CodeSeal, NotThisSeal> {
        let payload = self.open(Kind::Code, text)?;
        let mut read = Reader(&payload);
        let seal = (|| Some(CodeSeal { grant_id: read.array()?, expires_at: read.integer()? }))();
        seal.filter(|_| read.is_at_end()).ok_or(NotThisSeal::Foreign)
    }

    /// Opens a refresh token.
    ///
    /// # Errors
    /// [`NotThisSeal`].
    pub fn open_refresh(&self, text: &str) -> Result<RefreshSeal, NotThisSeal> {
        let payload = self.open(Kind::Refresh, text)?;
        let mut read = Reader(&payload);
        let seal = (|| {
            Some(RefreshSeal {
                grant_id: read.array()?,
                generation: read.integer()?,
                expires_at: read.integer()?,
            })
        })();
        seal.filter(|_| read.is_at_end()).ok_or(NotThisSeal::Foreign)
    }

    /// Opens an access token.
    ///
    /// # Errors
    /// [`NotThisSeal`].
    pub fn open_access(&self, text: &str) -> Result<AccessSeal, NotThisSeal> {
        let payload = self.open(Kind::Access, text)?;
        let mut read = Reader(&payload);
        let seal = (|| {
            let (grant_id, generation) = (read.array()?, read.integer()?);
            let (expires_at, issued_at) = (read.integer()?, read.integer()?);
            let token_id = read.array()?;
            let (scope, binding) = read_allowed(read.rest())?;
            Some(AccessSeal {
                grant_id,
                generation,
                expires_at,
                issued_at,
                token_id,
                scope,
                binding,
            })
        })();
        seal.ok_or(NotThisSeal::Foreign)
    }

    /// Seals a payload. `at` chooses the key: the newest that sealed by then.
    pub fn seal(&self, kind: Kind, payload: &[u8], at: i64) -> String {
        let ring = self.ring();
        let key = ring.at(at);
        let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len() + MAC_BYTES);
        bytes.push(VERSION);
        bytes.extend_from_slice(&key.id.to_be_bytes());
        bytes.extend_from_slice(&ring.epoch().to_be_bytes());
        bytes.extend_from_slice(payload);
        let mac = hmac::sign(&key.macs[kind as usize], &bytes);
        bytes.extend_from_slice(mac.as_ref());
        let mut text = String::with_capacity(kind.prefix().len() + bytes.len() * 4 / 3 + 3);
        text.push_str(kind.prefix());
        URL_SAFE_NO_PAD.encode_string(&bytes, &mut text);
        text
    }

    /// Checks the MAC of a seal of this kind, in constant time, and gives its payload.
    ///
    /// # Errors
    /// [`NotThisSeal`].
    pub fn open(&self, kind: Kind, text: &str) -> Result<Vec<u8>, NotThisSeal> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(NotThisSeal::Foreign);
        }
        let Some(encoded) = text.strip_prefix(kind.prefix()) else {
            let other = Kind::ALL
                .into_iter()
                .find(|other| *other != kind && text.starts_with(other.prefix()));
            return match other {
                Some(other) => Err(match self.open(other, text) {
                    Ok(_) => NotThisSeal::OtherKind(other),
                    Err(fault) => fault,
                }),
                None => Err(NotThisSeal::Foreign),
            };
        };
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| NotThisSeal::Foreign)?;
        let parts = Parts::read(&bytes).ok_or(NotThisSeal::Foreign)?;
        let ring = self.ring();
        let key = ring.key(parts.key_id).ok_or(NotThisSeal::UnknownKey)?;
        hmac::verify(&key.macs[kind as usize], parts.sealed, parts.mac)
            .map_err(|_| NotThisSeal::Foreign)?;
        // Connections outlive a restore: a refresh token of a lower epoch opens still. Everything
        // else of that time ended with it.
        let is_of_epoch =
            parts.epoch == ring.epoch() || kind == Kind::Refresh && parts.epoch < ring.epoch();
        let current = parts.version == VERSION && is_of_epoch;
        current.then(|| parts.payload.to_vec()).ok_or(NotThisSeal::Foreign)
    }
}

/// What a token may do, and for whom, in lines: the scopes, the APIs, the key. A token for no API and
/// no key is the scopes alone, which is all that the version before wrote and reads.
fn allowed(scope: &Scope, binding: &Binding) -> String {
    let mut text = scope.to_string();
    if *binding != Binding::default() {
        text.push('\n');
        text.push_str(&binding.resources.to_string());
        text.push('\n');
        if let Some(key) = &binding.key {
            URL_SAFE_NO_PAD.encode_string(key, &mut text);
        }
    }
    text
}

fn read_allowed(bytes: &[u8]) -> Option<(Scope, Binding)> {
    let mut lines = std::str::from_utf8(bytes).ok()?.split('\n');
    let scope = Scope::parse(lines.next()?).ok()?;
    let Some(resources) = lines.next() else {
        return Some((scope, Binding::default()));
    };
    let named = resources.split(' ').filter(|resource| !resource.is_empty());
    let resources = Resources::parse(named).ok()?;
    let key = match lines.next()? {
        "" => None,
        text => Some(URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?),
    };
    lines.next().is_none().then_some((scope, Binding { resources, key }))
}

/// What a seal is made of, before anything of it is believed.
struct Parts<'a> {
    version: u8,
    key_id: u32,
    epoch: i64,
    payload: &'a [u8],
    /// everything that the MAC is over
    sealed: &'a [u8],
    mac: &'a [u8],
}

impl Parts<'_> {
    fn read(bytes: &[u8]) -> Option<Parts<'_>> {
        let (sealed, mac) = bytes.split_at_checked(bytes.len().checked_sub(MAC_BYTES)?)?;
        let mut read = Reader(sealed);
        let [version] = read.array()?;
        let key_id = u32::from_be_bytes(read.array()?);
        let epoch = read.integer()?;
        Some(Parts { version, key_id, epoch, payload: read.rest(), sealed, mac })
    }
}

/// Reads a payload from its front; `None` where it is too short.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (front, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*front)
    }

    pub(crate) fn integer(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealer(environment: Environment, epoch: i64, ids: &[u32]) -> Sealer {
        let keys = ids
            .iter()
            .map(|id| SealingKey {
                id: *id,
                seals_from: i64::from(*id) * 100,
                secret: zeroize::Zeroizing::new(vec![7; 32]),
            })
            .collect();
        Sealer::new(Ring::new(environment, epoch, keys).unwrap())
    }

    fn access() -> AccessSeal {
        AccessSeal {
            grant_id: [1; 16],
            generation: 3,
            expires_at: 3600,
            issued_at: 100,
            token_id: [2; 8],
            scope: Scope::parse("financial-api orders-api").unwrap(),
            binding: Binding::default(),
        }
    }

    #[test]
    fn a_token_for_an_api_and_a_key_opens_as_such() {
        let here = sealer(Environment::Staging, 1, &[1]);
        let resources = Resources::parse(["https://a.example/", "https://b.example/"]).unwrap();
        for (resources, key) in [
            (resources.clone(), Some([9; 32])),
            (resources, None),
            (Resources::default(), Some([9; 32])),
        ] {
            let seal = AccessSeal { binding: Binding { resources, key }, ..access() };
            assert_eq!(here.open_access(&here.access(&seal)), Ok(seal.clone()));
            let none = AccessSeal { scope: Scope::default(), ..seal };
            assert_eq!(here.open_access(&here.access(&none)), Ok(none));
        }
    }

    #[test]
    fn s10_what_was_sealed_opens_and_nothing_else_does() {
        let here = sealer(Environment::Staging, 1, &[1]);
        let text = here.access(&access());
        assert_eq!(here.open_access(&text), Ok(access()));
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            // In the key id a change names a key that is not there.
            let unknown = matches!(here.open_access(&changed), Err(NotThisSeal::UnknownKey));
            let in_key_id = (Kind::Access.prefix().len() + 1..).take(6).any(|place| place == at);
            assert!(in_key_id || !unknown, "{at}");
            assert!(unknown || here.open_access(&changed) == Err(NotThisSeal::Foreign), "{at}");
            assert_eq!(here.open_access(&text[..at]), Err(NotThisSeal::Foreign), "{at}");
        }
    }

    #[test]
    fn a_token_with_the_longest_scope_that_can_be_asked_for_still_opens() {
        let longest = grantor_protocol::parameters::MAX_VALUE_BYTES;
        let scope = Scope::parse(&"x".repeat(longest)).unwrap();
        let seal = AccessSeal { scope, ..access() };
        let here = sealer(Environment::Staging, 1, &[1]);
        assert_eq!(here.open_access(&here.access(&seal)), Ok(seal));
    }

    #[test]
    fn nothing_of_one_environment_kind_or_epoch_is_valid_in_another() {
        let here = sealer(Environment::Staging, 1, &[1]);
        let text = here.access(&access());
        for other in
            [sealer(Environment::Production, 1, &[1]), sealer(Environment::Staging, 2, &[1])]
        {
            assert_eq!(other.open_access(&text), Err(NotThisSeal::Foreign));
        }
        let other_key = sealer(Environment::Staging, 1, &[2]);
        assert_eq!(other_key.open_access(&text), Err(NotThisSeal::UnknownKey));
        assert_eq!(here.open_refresh(&text), Err(NotThisSeal::OtherKind(Kind::Access)));
        let disguised = text.replace("gr_access_", "gr_refresh_");
        assert_eq!(here.open_refresh(&disguised), Err(NotThisSeal::Foreign));
    }

    #[test]
    fn d5_of_an_earlier_epoch_refresh_tokens_alone_open_and_of_a_later_one_nothing() {
        let [before, after] = [1, 2].map(|epoch| sealer(Environment::Staging, epoch, &[1]));
        let refresh = RefreshSeal { grant_id: [1; 16], generation: 2, expires_at: 9 };
        let code = CodeSeal { grant_id: [1; 16], expires_at: 9 };
        assert_eq!(after.open_refresh(&before.refresh(&refresh, 150)), Ok(refresh.clone()));
        assert!(before.open_refresh(&after.refresh(&refresh, 150)).is_err());
        assert_eq!(after.open_code(&before.code(&code, 150)), Err(NotThisSeal::Foreign));
        assert_eq!(after.open_access(&before.access(&access())), Err(NotThisSeal::Foreign));
        for kind in [Kind::Progress, Kind::Csrf] {
            assert_eq!(after.open(kind, &before.seal(kind, b"x", 150)), Err(NotThisSeal::Foreign));
        }
    }

    #[test]
    fn d11_a_successor_is_the_same_after_a_new_key_came() {
        let seal = RefreshSeal { grant_id: [1; 16], generation: 2, expires_at: 9 };
        let before = sealer(Environment::Staging, 1, &[1]).refresh(&seal, 150);
        let after = sealer(Environment::Staging, 1, &[1, 2]);
        assert_eq!(after.refresh(&seal, 150), before);
        assert_ne!(after.refresh(&seal, 250), before);
        assert_eq!(after.open_refresh(&before), Ok(seal));
    }

    #[test]
    fn d11_where_the_key_of_then_was_revoked_a_repeat_is_sealed_with_one_that_is_left() {
        let seal = RefreshSeal { grant_id: [1; 16], generation: 2, expires_at: 9 };
        for left in [&[1, 3][..], &[3]] {
            let here = sealer(Environment::Staging, 1, &[1, 2]);
            let revoked = here.refresh(&seal, 250);
            let keys = sealer(Environment::Staging, 1, left).ring();
            here.replace(Arc::into_inner(keys).unwrap());
            assert_eq!(here.open_refresh(&revoked), Err(NotThisSeal::UnknownKey));
            let again = here.refresh(&seal, 250);
            assert_ne!(again, revoked);
            assert_eq!(here.open_refresh(&again), Ok(seal.clone()), "{left:?}");
        }
    }

    #[test]
    fn a_ring_without_a_key_cannot_be_made() {
        assert!(Ring::new(Environment::Staging, 1, Vec::new()).is_none());
    }

    proptest::proptest! {
        #[test]
        fn s10_any_text_behind_any_prefix_is_foreign_and_no_panic(
            kind in 0..Kind::ALL.len(),
            text in "[A-Za-z0-9_-]{0,200}|\\PC{0,100}",
        ) {
            let here = sealer(Environment::Staging, 1, &[1]);
            let text = format!("{}{text}", Kind::ALL[kind].prefix());
            proptest::prop_assert!(here.open_access(&text).is_err());
            proptest::prop_assert!(here.open_refresh(&text).is_err());
            proptest::prop_assert!(here.open_code(&text).is_err());
        }
    }
}
