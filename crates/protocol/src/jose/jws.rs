//! Compact signed tokens (RFC 7515 7.1), read in two steps, so that nothing unverified is taken for
//! what it says.
//!
//! 1. [`UnverifiedJws::parse`] reads the three parts strictly and holds the header against what the
//!    caller demands: size, algorithm, type, and no extension that we would have to understand;
//! 2. [`UnverifiedJws::verify`] holds the signature against keys that the caller trusts, or
//!    [`UnverifiedJws::verify_embedded`] against the key in the header, for a proof of possession;
//! 3. a [`VerifiedJws`] has no other constructor.
//!
//! `jku`, `x5u` and `x5c` are never looked at: a token does not say where its own key is found
//! (RFC 8725 3.10).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::algorithm::Algorithm;
use super::claims::{Claims, ClaimsFault};
use super::json::{self, JsonFault, Members, Value};
use super::jwk::{Jwk, MAX_KEY_ID_BYTES};
use super::key_fault::KeyFault;

/// How many keys are tried for a token without a `kid`: each costs a verification.
pub const MAX_KEYS_TRIED: usize = 8;

/// What the caller demands of a token before its signature is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// The algorithms that it may be signed with (RFC 8725 3.1).
    pub algorithms: &'a [Algorithm],
    /// What its `typ` may be (RFC 8725 3.11).
    pub typ: TypeDemand<'a>,
    /// No longer than that, in bytes.
    pub max_bytes: usize,
}

/// What the `typ` of a token may be: compared without regard to case, and `application/` may stand
/// before it (RFC 7515 4.1.9).
#[derive(Clone, Copy, Debug)]
pub enum TypeDemand<'a> {
    /// It has to stand there, and be one of these.
    OneOf(&'a [&'a str]),
    /// It may be absent; where it stands it is one of these.
    AbsentOrOneOf(&'a [&'a str]),
    /// Anything.
    Any,
}

/// What a header says that is of use here (RFC 7515 4.1).
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The `alg`.
    pub algorithm: Algorithm,
    /// The `kid`.
    pub key_id: Option<String>,
    /// The `jwk`, unread: only a proof of possession asks for it.
    jwk: Option<Value<'static>>,
}

/// A token that was read. Who made it is not known.
pub struct UnverifiedJws<'a> {
    header: Header,
    /// The first two parts with the dot between them.
    signed: &'a str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

/// A token whose signature is of a key that its reader chose.
#[derive(Clone, Debug)]
pub struct VerifiedJws {
    header: Header,
    payload: Vec<u8>,
}

/// A part of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// the first
    Header,
    /// the second
    Payload,
    /// the third
    Signature,
}

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwsFault {
    /// longer than the limit, in bytes
    TooLong {
        /// the limit
        limit: usize,
    },
    /// not three parts with a dot between them
    NotThreeParts,
    /// a part is not Base64url: with padding, blanks, or bits that mean nothing
    NotBase64 {
        /// which
        part: Part,
    },
    /// the header is not a JSON object, or a member of it is of the wrong kind
    HeaderMalformed,
    /// a member of the header stands twice
    HeaderRepeated,
    /// the header has `crit`: an extension that has to be understood, and none is (RFC 7515 4.1.11)
    CriticalHeader,
    /// the header has `b64` (RFC 7797)
    UnencodedPayload,
    /// the algorithm is none of those that are allowed
    AlgorithmNotAllowed,
    /// there is no `typ`, and one is demanded
    TypeMissing,
    /// the `typ` is another one
    TypeDiffers,
    /// no key has this `kid`, or there is no key
    UnknownKey,
    /// the key, or each of the keys, is not for this algorithm, or not for signatures
    KeyDoesNotFit,
    /// there is no `kid`, and more keys would fit than are tried
    KeyIdNeeded,
    /// the header has no `jwk`, and one is demanded
    EmbeddedKeyMissing,
    /// the `jwk` of the header cannot be taken
    EmbeddedKey(KeyFault),
    /// the signature is not of this key over these bytes
    SignatureWrong,
}

impl<'a> UnverifiedJws<'a> {
    /// Reads a token, and holds its header against what is demanded.
    ///
    /// # Errors
    /// [`JwsFault`], but for those of keys and of the signature.
    pub fn parse(token: &'a str, demand: &Demand<'_>) -> Result<UnverifiedJws<'a>, JwsFault> {
        if token.len() > demand.max_bytes {
            return Err(JwsFault::TooLong { limit: demand.max_bytes });
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwsFault::NotThreeParts)?;
        let (header, payload) = signed.split_once('.').ok_or(JwsFault::NotThreeParts)?;
        if payload.contains('.') {
            return Err(JwsFault::NotThreeParts);
        }
        let header = parse_header(&decode(header, Part::Header)?, demand)?;
        Ok(UnverifiedJws {
            header,
            signed,
            payload: decode(payload, Part::Payload)?,
            signature: decode(signature, Part::Signature)?,
        })
    }

    /// What it says of itself; nobody vouches for it.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What it claims; nobody vouches for it. Fit to find out whose keys to look up, and for
    /// nothing else.
    ///
    /// # Errors
    /// [`ClaimsFault`].
    pub fn unverified_claims(&self) -> Result<Claims<'_>, ClaimsFault> {
        Claims::parse(&self.payload)
    }

    /// Verifies the signature by keys that the caller trusts. The `kid` chooses (RFC 7515 4.1.4);
    /// without one each key that fits is tried, up to [`MAX_KEYS_TRIED`].
    ///
    /// # Errors
    /// [`JwsFault::UnknownKey`], [`JwsFault::KeyDoesNotFit`], [`JwsFault::KeyIdNeeded`],
    /// [`JwsFault::SignatureWrong`].
    pub fn verify(self, keys: &[Jwk]) -> Result<VerifiedJws, JwsFault> {
        let named = |key: &&Jwk| match &self.header.key_id {
            Some(key_id) => key.key_id() == Some(key_id),
            None => true,
        };
        let mut candidates = keys.iter().filter(named).peekable();
        if candidates.peek().is_none() {
            return Err(JwsFault::UnknownKey);
        }
        let algorithm = self.header.algorithm;
        let mut tried = 0;
        for key in candidates {
            if tried == MAX_KEYS_TRIED && key.algorithms().any(|fit| fit == algorithm) {
                return Err(JwsFault::KeyIdNeeded);
            }
            match key.verify(algorithm, self.signed.as_bytes(), &self.signature) {
                Some(true) => return Ok(self.verified()),
                Some(false) => tried += 1,
                None => {}
            }
        }
        match tried {
            0 => Err(JwsFault::KeyDoesNotFit),
            _ => Err(JwsFault::SignatureWrong),
        }
    }

    /// Verifies the signature by the public key in its own header (RFC 7515 4.1.3), and gives that
    /// key. It proves that the sender has the private half, and nothing of who the sender is
    /// (RFC 9449 4.3).
    ///
    /// # Errors
    /// [`JwsFault::EmbeddedKeyMissing`], [`JwsFault::EmbeddedKey`], [`JwsFault::KeyDoesNotFit`],
    /// [`JwsFault::SignatureWrong`].
    pub fn verify_embedded(self) -> Result<(VerifiedJws, Jwk), JwsFault> {
        let members = match &self.header.jwk {
            None => return Err(JwsFault::EmbeddedKeyMissing),
            Some(Value::Object(members)) => members,
            Some(_) => return Err(JwsFault::EmbeddedKey(KeyFault::NotAnObject)),
        };
        let algorithm = self.header.algorithm;
        let key = Jwk::from_members(members, &[algorithm]).map_err(JwsFault::EmbeddedKey)?;
        match key.verify(algorithm, self.signed.as_bytes(), &self.signature) {
            Some(true) => Ok((self.verified(), key)),
            Some(false) => Err(JwsFault::SignatureWrong),
            None => Err(JwsFault::KeyDoesNotFit),
        }
    }

    fn verified(self) -> VerifiedJws {
        VerifiedJws { header: self.header, payload: self.payload }
    }
}

impl VerifiedJws {
    /// What its header says.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What was signed, as bytes.
    pub fn payload(&self) -> &[u8] {
        &self.payload
    }

    /// What was signed, as claims.
    ///
    /// # Errors
    /// [`ClaimsFault::NotAnObject`], [`ClaimsFault::Repeated`].
    pub fn claims(&self) -> Result<Claims<'_>, ClaimsFault> {
        Claims::parse(&self.payload)
    }
}

impl JwsFault {
    /// What is wrong, for whoever made the token; `what` begins the sentence, as "The proof".
    pub fn words(self, what: &str) -> String {
        let rest = match self {
            JwsFault::TooLong { limit } => return format!("{what} is longer than {limit} bytes."),
            JwsFault::EmbeddedKey(fault) => {
                return format!(
                    "The jwk in the header of {} cannot be taken. {}",
                    lower(what),
                    fault.words()
                );
            }
            JwsFault::NotThreeParts => "is not three parts with a dot between them.",
            JwsFault::NotBase64 { part: Part::Header } => {
                "has a header that is not Base64url without padding."
            }
            JwsFault::NotBase64 { part: Part::Payload } => {
                "has a payload that is not Base64url without padding."
            }
            JwsFault::NotBase64 { part: Part::Signature } => {
                "has a signature that is not Base64url without padding."
            }
            JwsFault::HeaderMalformed => {
                "has a header that is not a JSON object with alg, and typ and kid as text."
            }
            JwsFault::HeaderRepeated => "has a member of its header twice.",
            JwsFault::CriticalHeader => "has crit in its header; no extension is understood here.",
            JwsFault::UnencodedPayload => {
                "has b64 in its header; only a payload in Base64url is read."
            }
            JwsFault::AlgorithmNotAllowed => "has an alg that is not allowed here.",
            JwsFault::TypeMissing => "has no typ in its header.",
            JwsFault::TypeDiffers => "has a typ that is not the one for this use.",
            JwsFault::UnknownKey => {
                "names a kid that none of the known keys has, or there is no key. If the key is \
                 new, register or publish it first."
            }
            JwsFault::KeyDoesNotFit => {
                "has an alg that its key is not for: compare kty, crv, alg, use and key_ops."
            }
            JwsFault::KeyIdNeeded => "has no kid, and there are too many keys to try. Send a kid.",
            JwsFault::EmbeddedKeyMissing => "has no jwk in its header.",
            JwsFault::SignatureWrong => {
                "has a signature that does not verify: it was made with another key, or over other \
                 bytes."
            }
        };
        format!("{what} {rest}")
    }
}

fn lower(what: &str) -> String {
    let mut letters = what.chars();
    letters.next().map_or_else(String::new, |first| {
        first.to_lowercase().collect::<String>() + letters.as_str()
    })
}

/// RFC 7515 2: no padding, no line breaks, no blanks; and no bits that mean nothing, which would
/// make two spellings of one token.
fn decode(text: &str, part: Part) -> Result<Vec<u8>, JwsFault> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| JwsFault::NotBase64 { part })
}

fn parse_header(bytes: &[u8], demand: &Demand<'_>) -> Result<Header, JwsFault> {
    let mut members = json::parse_object(bytes).map_err(|fault| match fault {
        JsonFault::Repeated => JwsFault::HeaderRepeated,
        JsonFault::NotJson | JsonFault::NotObject => JwsFault::HeaderMalformed,
    })?;
    // RFC 7515 4.1.11: a critical extension that is not understood makes the token invalid.
    if members.contains_key("crit") {
        return Err(JwsFault::CriticalHeader);
    }
    if members.contains_key("b64") {
        return Err(JwsFault::UnencodedPayload);
    }
    let algorithm = text(&members, "alg")?.ok_or(JwsFault::HeaderMalformed)?;
    let algorithm = Algorithm::parse(algorithm).ok_or(JwsFault::AlgorithmNotAllowed)?;
    if !demand.algorithms.contains(&algorithm) {
        return Err(JwsFault::AlgorithmNotAllowed);
    }
    check_type(text(&members, "typ")?, demand.typ)?;
    let key_id = text(&members, "kid")?.map(str::to_owned);
    if key_id.as_ref().is_some_and(|key_id| key_id.len() > MAX_KEY_ID_BYTES) {
        return Err(JwsFault::HeaderMalformed);
    }
    Ok(Header { algorithm, key_id, jwk: members.remove("jwk").map(Value::into_owned) })
}

fn check_type(typ: Option<&str>, demand: TypeDemand<'_>) -> Result<(), JwsFault> {
    let (allowed, typ) = match (demand, typ) {
        (TypeDemand::Any, _) | (TypeDemand::AbsentOrOneOf(_), None) => return Ok(()),
        (TypeDemand::OneOf(_), None) => return Err(JwsFault::TypeMissing),
        (TypeDemand::OneOf(allowed) | TypeDemand::AbsentOrOneOf(allowed), Some(typ)) => {
            (allowed, typ)
        }
    };
    // RFC 7515 4.1.9: without a slash it is meant with "application/" before it.
    let bare = match typ.split_once('/') {
        None => typ,
        Some((kind, rest)) if kind.eq_ignore_ascii_case("application") => rest,
        Some(_) => return Err(JwsFault::TypeDiffers),
    };
    match allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(bare)) {
        true => Ok(()),
        false => Err(JwsFault::TypeDiffers),
    }
}

fn text<'a>(members: &'a Members<'_>, member: &str) -> Result<Option<&'a str>, JwsFault> {
    match members.get(member) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(JwsFault::HeaderMalformed),
    }
}
