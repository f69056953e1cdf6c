//! Public keys as JSON Web Keys (RFC 7517; RFC 7518 6; RFC 8037 2).
//!
//! 1. [`Jwk::parse`] reads one, [`JwkSet::parse`] several: JSON without a member twice;
//! 2. whatever holds a secret is refused by name;
//! 3. the numbers are checked, and the key is made ready once for each algorithm that it may serve;
//! 4. [`Jwk::thumbprint`] names it (RFC 7638).

pub(super) mod material;

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::ParsedPublicKey;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};

use super::algorithm::{Algorithm, Scheme};
use super::json::{self, JsonFault, Members, Value};
use super::key_fault::KeyFault;
use material::Material;

/// No key is longer, in bytes of JSON.
pub const MAX_KEY_BYTES: usize = 16 * 1024;

/// No set is longer, in bytes of JSON.
pub const MAX_SET_BYTES: usize = 64 * 1024;

/// No set has more keys, those that are skipped counted.
pub const MAX_KEYS: usize = 32;

/// No `kid` is longer, in bytes.
pub const MAX_KEY_ID_BYTES: usize = 256;

/// What RFC 7518 6 and RFC 8037 2 call private, or secret.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// A public key that was checked and made ready.
#[derive(Clone)]
pub struct Jwk {
    material: Material,
    /// What it says of itself.
    label: Label,
    /// It as its library wants it, once for each algorithm that it may verify. Empty where `use`,
    /// `key_ops` or `alg` forbid to verify at all.
    ready: Vec<(Algorithm, ParsedPublicKey)>,
}

/// The keys of one owner (RFC 7517 5), no two of them with one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JwkSet(Vec<Jwk>);

/// The SHA-256 thumbprint of a key (RFC 7638): the `jkt` of RFC 9449.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Thumbprint([u8; 32]);

/// The members of RFC 7517 4 that say what a key is for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Label {
    kid: Option<String>,
    alg: Option<String>,
    usage: Option<String>,
    operations: Option<Vec<String>>,
}

impl Jwk {
    /// Reads one public key.
    ///
    /// # Errors
    /// [`KeyFault`], but for those that only a set can have.
    pub fn parse(text: &[u8]) -> Result<Jwk, KeyFault> {
        Jwk::from_members(&parse_bounded(text, MAX_KEY_BYTES)?, &Algorithm::ALL)
    }

    /// From members that were read strictly, ready for some algorithms alone.
    pub(crate) fn from_members(
        members: &Members<'_>,
        algorithms: &[Algorithm],
    ) -> Result<Jwk, KeyFault> {
        let kty = text(members, "kty")?.ok_or(KeyFault::Missing { member: "kty" })?;
        if kty == "oct" {
            return Err(KeyFault::Symmetric);
        }
        if PRIVATE_MEMBERS.iter().any(|member| members.contains_key(*member)) {
            return Err(KeyFault::Private);
        }
        Jwk::new(Material::parse(kty, members)?, Label::parse(members)?, algorithms)
    }

    /// The public half of a key of ours, for one algorithm.
    pub(crate) fn of_ours(
        material: Material,
        kid: Option<String>,
        algorithm: Algorithm,
    ) -> Result<Jwk, KeyFault> {
        let label = Label {
            kid,
            alg: Some(algorithm.as_str().to_owned()),
            usage: Some("sig".to_owned()),
            operations: None,
        };
        Jwk::new(material, label, &[algorithm])
    }

    fn new(material: Material, label: Label, algorithms: &[Algorithm]) -> Result<Jwk, KeyFault> {
        material.check()?;
        let mut ready = Vec::new();
        for algorithm in algorithms {
            if material.serves(*algorithm) && label.serves(*algorithm) {
                ready.push((*algorithm, material.make_ready(*algorithm)?));
            }
        }
        Ok(Jwk { material, label, ready })
    }

    /// The `kid` (RFC 7517 4.5).
    pub fn key_id(&self) -> Option<&str> {
        self.label.kid.as_deref()
    }

    /// Which algorithms it may verify, by its kind, `alg`, `use` and `key_ops` (RFC 7517 4.2 to
    /// 4.4).
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.ready.iter().map(|(algorithm, _)| *algorithm)
    }

    /// The SHA-256 thumbprint (RFC 7638 3).
    pub fn thumbprint(&self) -> Thumbprint {
        let mut thumbprint = [0; 32];
        let canonical = self.material.canonical();
        thumbprint.copy_from_slice(digest(&SHA256, canonical.as_bytes()).as_ref());
        Thumbprint(thumbprint)
    }

    /// Whether a signature is of this key; `None` where the algorithm is not for it.
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Option<bool> {
        let (_, ready) =
            self.ready.iter().find(|(for_algorithm, _)| *for_algorithm == algorithm)?;
        // RFC 7518 3.4: r and s, each of the curve's length, and nothing else. A DER signature of
        // the same key must not be a second spelling of one token.
        let length = match algorithm.scheme() {
            Scheme::Rsa(_) => self.material.modulus_bytes(),
            Scheme::Ec(_, _, length) => length,
            Scheme::Ed25519 => 64,
        };
        Some(signature.len() == length && ready.verify_sig(message, signature).is_ok())
    }
}

impl JwkSet {
    /// Reads a set. A key of a `kty` or `crv` that is not known is skipped (RFC 7517 5); one that
    /// is known and broken, private or secret makes the whole set refused, so that its owner hears
    /// of it.
    ///
    /// # Errors
    /// [`KeyFault`], of the first key that has one.
    pub fn parse(text: &[u8]) -> Result<JwkSet, KeyFault> {
        let members = parse_bounded(text, MAX_SET_BYTES)?;
        let listed = match members.get("keys") {
            None => return Err(KeyFault::Missing { member: "keys" }),
            Some(Value::Array(listed)) => listed,
            Some(_) => return Err(KeyFault::Malformed { member: "keys" }),
        };
        if listed.len() > MAX_KEYS {
            return Err(KeyFault::TooManyKeys { limit: MAX_KEYS });
        }
        let mut keys = Vec::new();
        for key in listed {
            let key = key.as_object().ok_or(KeyFault::Malformed { member: "keys" })?;
            match Jwk::from_members(key, &Algorithm::ALL) {
                Ok(key) => keys.push(key),
                Err(KeyFault::UnknownType | KeyFault::UnknownCurve) => {}
                Err(fault) => return Err(fault),
            }
        }
        JwkSet::new(keys)
    }

    /// Reads a set that somebody publishes: a key that cannot be taken is skipped, whatever is wrong
    /// with it, so that one that is made for others spoils no other.
    ///
    /// # Errors
    /// [`KeyFault`] where it is no set, or holds too much.
    pub fn parse_published(text: &[u8]) -> Result<JwkSet, KeyFault> {
        let members = parse_bounded(text, MAX_SET_BYTES)?;
        let Some(Value::Array(listed)) = members.get("keys") else {
            return Err(KeyFault::Malformed { member: "keys" });
        };
        if listed.len() > MAX_KEYS {
            return Err(KeyFault::TooManyKeys { limit: MAX_KEYS });
        }
        let read = listed
            .iter()
            .filter_map(|key| Jwk::from_members(key.as_object()?, &Algorithm::ALL).ok());
        JwkSet::new(read.collect())
    }

    /// Of keys that were read.
    ///
    /// # Errors
    /// [`KeyFault::TooManyKeys`], [`KeyFault::SameKeyId`].
    pub fn new(keys: Vec<Jwk>) -> Result<JwkSet, KeyFault> {
        if keys.len() > MAX_KEYS {
            return Err(KeyFault::TooManyKeys { limit: MAX_KEYS });
        }
        for (index, key) in keys.iter().enumerate() {
            // RFC 7517 4.5: one kid may name equivalent keys of different kty, and no others.
            let same = |other: &Jwk| {
                other.label.kid.is_some()
                    && other.label.kid == key.label.kid
                    && other.material.kty() == key.material.kty()
            };
            if keys[..index].iter().any(same) {
                return Err(KeyFault::SameKeyId);
            }
        }
        Ok(JwkSet(keys))
    }

    /// Its keys, in their order.
    pub fn keys(&self) -> &[Jwk] {
        &self.0
    }
}

impl Thumbprint {
    /// As it is stored.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From what was stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Thumbprint {
        Thumbprint(bytes)
    }

    /// Reads the Base64url form, as in `dpop_jkt` (RFC 9449 10) and `cnf.jkt`.
    pub fn parse(text: &str) -> Option<Thumbprint> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Thumbprint)
    }
}

impl fmt::Display for Thumbprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl Label {
    fn parse(members: &Members<'_>) -> Result<Label, KeyFault> {
        let owned = |member| Ok(text(members, member)?.map(str::to_owned));
        let kid: Option<String> = owned("kid")?;
        if kid.as_ref().is_some_and(|kid| kid.len() > MAX_KEY_ID_BYTES) {
            return Err(KeyFault::Malformed { member: "kid" });
        }
        let operations = match members.get("key_ops") {
            None => None,
            Some(Value::Array(listed)) => {
                let all: Option<Vec<String>> =
                    listed.iter().map(|each| each.as_str().map(str::to_owned)).collect();
                Some(all.ok_or(KeyFault::Malformed { member: "key_ops" })?)
            }
            Some(_) => return Err(KeyFault::Malformed { member: "key_ops" }),
        };
        Ok(Label { kid, alg: owned("alg")?, usage: owned("use")?, operations })
    }

    /// RFC 7517 4.2 to 4.4: what stands there must allow it; what does not stand there forbids
    /// nothing.
    fn serves(&self, algorithm: Algorithm) -> bool {
        self.usage.as_deref().is_none_or(|usage| usage == "sig")
            && self.alg.as_deref().is_none_or(|alg| Algorithm::parse(alg) == Some(algorithm))
            && self.operations.as_deref().is_none_or(|all| all.iter().any(|each| each == "verify"))
    }
}

impl PartialEq for Jwk {
    fn eq(&self, other: &Jwk) -> bool {
        self.material == other.material && self.label == other.label
    }
}

impl Eq for Jwk {}

impl fmt::Debug for Jwk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let thumbprint = self.thumbprint().to_string();
        formatter
            .debug_struct("Jwk")
            .field("label", &self.label)
            .field("thumbprint", &thumbprint)
            .finish()
    }
}

/// The public key alone, as it may be published.
impl Serialize for Jwk {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (member, value) in self.material.members() {
            map.serialize_entry(member, &value)?;
        }
        let label = &self.label;
        for (member, value) in [("kid", &label.kid), ("alg", &label.alg), ("use", &label.usage)] {
            if let Some(value) = value {
                map.serialize_entry(member, value)?;
            }
        }
        if let Some(operations) = &label.operations {
            map.serialize_entry("key_ops", operations)?;
        }
        map.end()
    }
}

impl Serialize for JwkSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        map.serialize_entry("keys", &self.0)?;
        map.end()
    }
}

fn parse_bounded(text: &[u8], limit: usize) -> Result<Members<'_>, KeyFault> {
    if text.len() > limit {
        return Err(KeyFault::TooLong { limit });
    }
    json::parse_object(text).map_err(|fault| match fault {
        JsonFault::NotJson | JsonFault::NotObject => KeyFault::NotAnObject,
        JsonFault::Repeated => KeyFault::Repeated,
    })
}

fn text<'a>(members: &'a Members<'_>, member: &'static str) -> Result<Option<&'a str>, KeyFault> {
    match members.get(member) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(KeyFault::Malformed { member }),
    }
}
