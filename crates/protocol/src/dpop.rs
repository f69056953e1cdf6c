//! Demonstrating Proof of Possession (RFC 9449): whoever calls shows, for this very request, that
//! the private key is theirs which a token is bound to.
//!
//! 1. [`verify`] reads the proof, and verifies it by the key in its own header;
//! 2. it holds each claim against the request (RFC 9449 4.3);
//! 3. the caller remembers the `jti` until [`Proof::remember_until`], and compares the key with the
//!    one that the token, the code or the client is bound to.

use std::borrow::Cow;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use crate::jose::{
    Algorithm, Claims, ClaimsFault, Demand, JwsFault, Thumbprint, TypeDemand, UnverifiedJws,
};

/// No proof is longer, in bytes.
pub const MAX_PROOF_BYTES: usize = 8192;

/// How long a proof is good, in seconds (RFC 9449 11.1).
pub const MAX_AGE_SECONDS: i64 = 300;

/// How far ahead the caller's clock may be, in seconds.
pub const CLOCK_SKEW_SECONDS: i64 = 60;

/// No `jti` is longer, in bytes.
pub const MAX_TOKEN_ID_BYTES: usize = 128;

/// No `htu` is longer, in bytes.
const MAX_URI_BYTES: usize = 2000;

/// What a proof is signed with: every algorithm that is taken is asymmetric (RFC 9449 4.3, 5).
pub const ALGORITHMS: [Algorithm; 10] = Algorithm::ALL;

/// The request that a proof comes with.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its URI as the caller knows it: behind a proxy, the public one.
    pub uri: &'a str,
    /// The access token that it presents, where it presents one.
    pub access_token: Option<&'a str>,
    /// The nonces that are good now, where one is demanded (RFC 9449 8 and 9).
    pub nonces: Option<&'a [&'a str]>,
    /// Now, in Unix seconds.
    pub now: i64,
}

/// A proof that holds for its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// Of which key: the `jkt` (RFC 9449 6.1).
    pub thumbprint: Thumbprint,
    /// Its `jti`.
    pub token_id: String,
    /// When it says that it was made, in Unix seconds.
    pub issued_at: i64,
    /// Its `nonce`, whether it was demanded or not.
    pub nonce: Option<String>,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofFault {
    /// it cannot be read, or its signature is not of the key in it
    Jws(JwsFault),
    /// a claim is missing, or of the wrong kind
    Claims(ClaimsFault),
    /// `htm` is another method
    MethodDiffers,
    /// `htu` is another URI
    UriDiffers,
    /// `htu` is not an http or https URI
    UriMalformed,
    /// it was made too long ago
    TooOld {
        /// how long ago
        seconds_ago: i64,
    },
    /// it was made later than now
    FromTheFuture,
    /// `jti` is empty or longer than [`MAX_TOKEN_ID_BYTES`]
    TokenIdLength,
    /// there is no `ath`, and an access token came with it
    TokenHashMissing,
    /// `ath` is of another access token
    TokenHashDiffers,
    /// there is no `nonce`, and one is demanded: answer `use_dpop_nonce`
    NonceMissing,
    /// the `nonce` is not, or no more, good: answer `use_dpop_nonce`
    NonceDiffers,
}

/// Verifies the value of a `DPoP` header for its request (RFC 9449 4.3). That there is one such
/// header and no second is the caller's to see.
///
/// # Errors
/// [`ProofFault`].
pub fn verify(proof: &str, request: &Request<'_>) -> Result<Proof, ProofFault> {
    let demand = Demand {
        algorithms: &ALGORITHMS,
        typ: TypeDemand::OneOf(&["dpop+jwt"]),
        max_bytes: MAX_PROOF_BYTES,
    };
    let unverified = UnverifiedJws::parse(proof, &demand).map_err(ProofFault::Jws)?;
    let (verified, key) = unverified.verify_embedded().map_err(ProofFault::Jws)?;
    let claims = verified.claims().map_err(ProofFault::Claims)?;
    let text = |claim| claims.text(claim).map_err(ProofFault::Claims);
    // RFC 9110 9.1: methods are case-sensitive.
    if text("htm")? != request.method {
        return Err(ProofFault::MethodDiffers);
    }
    check_uri(text("htu")?, request.uri)?;
    let issued_at = check_age(&claims, request.now)?;
    let token_id = text("jti")?;
    if !(1..=MAX_TOKEN_ID_BYTES).contains(&token_id.len()) {
        return Err(ProofFault::TokenIdLength);
    }
    check_token_hash(&claims, request.access_token)?;
    let nonce = claims.optional_text("nonce").map_err(ProofFault::Claims)?;
    check_nonce(nonce, request.nonces)?;
    Ok(Proof {
        thumbprint: key.thumbprint(),
        token_id: token_id.to_owned(),
        issued_at,
        nonce: nonce.map(str::to_owned),
    })
}

impl Proof {
    /// From when on it is refused as too old, in Unix seconds: until then its `jti` is remembered.
    pub fn remember_until(&self) -> i64 {
        self.issued_at + MAX_AGE_SECONDS + 1
    }
}

/// RFC 9449 4.3, point 11.
fn check_age(claims: &Claims<'_>, now: i64) -> Result<i64, ProofFault> {
    let issued_at = claims.seconds("iat").map_err(ProofFault::Claims)?;
    if issued_at - now > CLOCK_SKEW_SECONDS {
        return Err(ProofFault::FromTheFuture);
    }
    match now - issued_at {
        ..=MAX_AGE_SECONDS => Ok(issued_at),
        seconds_ago => Err(ProofFault::TooOld { seconds_ago }),
    }
}

/// RFC 9449 4.3, point 12.
fn check_token_hash(claims: &Claims<'_>, access_token: Option<&str>) -> Result<(), ProofFault> {
    let Some(access_token) = access_token else { return Ok(()) };
    let hash = claims.optional_text("ath").map_err(ProofFault::Claims)?;
    let expected = URL_SAFE_NO_PAD.encode(digest(&SHA256, access_token.as_bytes()));
    match hash {
        None => Err(ProofFault::TokenHashMissing),
        Some(hash) if hash == expected => Ok(()),
        Some(_) => Err(ProofFault::TokenHashDiffers),
    }
}

/// RFC 9449 4.3, point 10.
fn check_nonce(nonce: Option<&str>, demanded: Option<&[&str]>) -> Result<(), ProofFault> {
    match (demanded, nonce) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(ProofFault::NonceMissing),
        (Some(good), Some(nonce)) if good.contains(&nonce) => Ok(()),
        (Some(_), Some(_)) => Err(ProofFault::NonceDiffers),
    }
}

/// RFC 9449 4.3, point 9: without query and fragment, in the normal form of RFC 3986 6.2.2 and
/// 6.2.3.
fn check_uri(claimed: &str, called: &str) -> Result<(), ProofFault> {
    let claimed = normal_form(claimed).ok_or(ProofFault::UriMalformed)?;
    // Ours cannot be malformed, but that which does not parse must not be equal to anything.
    match normal_form(called) {
        Some(called) if called == claimed => Ok(()),
        _ => Err(ProofFault::UriDiffers),
    }
}

fn normal_form(uri: &str) -> Option<String> {
    // A reader of URLs drops blanks and line ends in silence; no URI has them.
    if uri.len() > MAX_URI_BYTES || !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    // Case of scheme and host, the default port and dot segments are its work.
    let mut url = Url::parse(uri).ok()?;
    let http = matches!(url.scheme(), "http" | "https");
    // RFC 3986 2: a backslash is in no URI, though a browser takes it for a slash.
    let plain = url.username().is_empty() && url.password().is_none() && !uri.contains('\\');
    if !http || !plain {
        return None;
    }
    url.set_query(None);
    url.set_fragment(None);
    Some(normal_escapes(url.as_str()))
}

/// RFC 3986 6.2.2.1 and 6.2.2.2: `%7e` and `%7E` are `~`, while `%2f` and `%2F` are not `/`.
fn normal_escapes(uri: &str) -> String {
    let mut normal = String::with_capacity(uri.len());
    let mut rest = uri;
    while let Some((before, behind)) = rest.split_once('%') {
        normal.push_str(before);
        let digits = behind.get(..2).filter(|two| two.bytes().all(|it| it.is_ascii_hexdigit()));
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        match (digits, byte) {
            (Some(digits), Some(byte)) => {
                let unreserved =
                    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
                if unreserved {
                    normal.push(char::from(byte));
                } else {
                    normal.push('%');
                    normal.push_str(&digits.to_ascii_uppercase());
                }
                rest = behind.get(2..).unwrap_or_default();
            }
            _ => {
                normal.push('%');
                rest = behind;
            }
        }
    }
    normal.push_str(rest);
    normal
}

impl ProofFault {
    /// What is wrong and what to do, for the client's developer.
    pub fn words(self) -> Cow<'static, str> {
        match self {
            ProofFault::Jws(fault) => fault.words("The DPoP proof").into(),
            ProofFault::Claims(fault) => {
                format!("The DPoP proof cannot be taken. {}", fault.words()).into()
            }
            ProofFault::MethodDiffers => {
                "The htm of the DPoP proof is not the method of this request.".into()
            }
            ProofFault::UriDiffers => {
                "The htu of the DPoP proof is not the URI of this request, without query and \
                 fragment."
                    .into()
            }
            ProofFault::UriMalformed => {
                "The htu of the DPoP proof is not a URI that begins with https or http.".into()
            }
            ProofFault::TooOld { seconds_ago } => format!(
                "The DPoP proof was made {seconds_ago} seconds ago. Make a new one for each \
                 request, and compare the clock."
            )
            .into(),
            ProofFault::FromTheFuture => {
                "The iat of the DPoP proof lies in the future. Compare the clock.".into()
            }
            ProofFault::TokenIdLength => {
                format!("The jti of the DPoP proof has to be 1 to {MAX_TOKEN_ID_BYTES} bytes long.")
                    .into()
            }
            ProofFault::TokenHashMissing => {
                "The DPoP proof has no ath: the SHA-256 of the access token in Base64url.".into()
            }
            ProofFault::TokenHashDiffers => {
                "The ath of the DPoP proof is of another access token.".into()
            }
            ProofFault::NonceMissing => {
                "The DPoP proof has no nonce. Make it again with the nonce in the header \
                 DPoP-Nonce of this answer."
                    .into()
            }
            ProofFault::NonceDiffers => {
                "The nonce of the DPoP proof is not good any more. Make it again with the nonce in \
                 the header DPoP-Nonce of this answer."
                    .into()
            }
        }
    }
}
