//! Why a JSON Web Key cannot be taken, and the words for it.

use std::borrow::Cow;

/// Why a key, or a set of keys, cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFault {
    /// longer than the limit, in bytes
    TooLong {
        /// the limit
        limit: usize,
    },
    /// not a JSON object
    NotAnObject,
    /// a member stands twice in one object
    Repeated,
    /// a member is missing
    Missing {
        /// its name
        member: &'static str,
    },
    /// a member is not what its name asks for: of another kind, or not Base64url without padding
    Malformed {
        /// its name
        member: &'static str,
    },
    /// it holds the private half, which nobody else may ever see
    Private,
    /// it is a shared secret, which is no public key
    Symmetric,
    /// of a `kty` that is not taken
    UnknownType,
    /// on a `crv` that is not taken
    UnknownCurve,
    /// RSA of less than 2048 or more than 8192 bits
    RsaSize {
        /// how many it has
        bits: usize,
    },
    /// RSA with an exponent that is even, 1, or longer than 32 bits, or with an even modulus
    RsaUnsound,
    /// RSA made by a chip whose keys can be computed (CVE-2017-15361)
    RsaGuessable,
    /// a point that is not on its curve, or a coordinate of another length
    NotOnCurve,
    /// a point of Ed25519 of small order: anybody can sign for it
    SmallOrder,
    /// a set with more keys than are taken
    TooManyKeys {
        /// how many are
        limit: usize,
    },
    /// two keys of a set have one `kty` and one `kid` (RFC 7517 4.5)
    SameKeyId,
}

impl KeyFault {
    /// What is wrong, for whoever sent the key.
    pub fn words(self) -> Cow<'static, str> {
        match self {
            KeyFault::TooLong { limit } => format!("It is longer than {limit} bytes.").into(),
            KeyFault::NotAnObject => "It is not a JSON object.".into(),
            KeyFault::Repeated => "It has a member twice in one object.".into(),
            KeyFault::Missing { member } => format!("It has no member {member}.").into(),
            KeyFault::Malformed { member } => format!(
                "Its member {member} is malformed. Values are text, and numbers are Base64url \
                 without padding and without leading zeros."
            )
            .into(),
            KeyFault::Private => {
                "It holds the private key. Send the public key alone, and replace \
                                  this one: whoever saw it can sign with it."
                    .into()
            }
            KeyFault::Symmetric => {
                "It is a shared secret (kty oct). Send a public key instead.".into()
            }
            KeyFault::UnknownType => "Its kty is not taken; RSA, EC and OKP are.".into(),
            KeyFault::UnknownCurve => {
                "Its crv is not taken; P-256, P-384, P-521 and Ed25519 are.".into()
            }
            KeyFault::RsaSize { bits } => {
                format!("It is an RSA key of {bits} bits; 2048 to 8192 are taken.").into()
            }
            KeyFault::RsaUnsound => {
                "It is no sound RSA key: modulus and exponent are odd, and the exponent is 3 or \
                 more and fits in 32 bits."
                    .into()
            }
            KeyFault::RsaGuessable => {
                "It was made by a chip whose RSA keys can be computed (CVE-2017-15361). Make a new \
                 one elsewhere."
                    .into()
            }
            KeyFault::NotOnCurve => "Its x and y are no point of its curve.".into(),
            KeyFault::SmallOrder => {
                "Its x is a point of small order, for which anybody can sign. Make a new key."
                    .into()
            }
            KeyFault::TooManyKeys { limit } => {
                format!("The set has more than {limit} keys.").into()
            }
            KeyFault::SameKeyId => "Two keys of the set have the same kid.".into(),
        }
    }
}
