//! The numbers of a public key: read, checked, and made ready for an algorithm.

use aws_lc_rs::signature::{ED25519, ParsedPublicKey, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::text;
use crate::jose::algorithm::{Algorithm, Curve, Scheme};
use crate::jose::json::Members;
use crate::jose::key_fault::KeyFault;
use crate::jose::roca;

/// The numbers, by `kty`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Material {
    /// RFC 7518 6.3: big-endian, without leading zeros.
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    /// RFC 7518 6.2: coordinates of the curve's length.
    Ec { curve: Curve, x: Vec<u8>, y: Vec<u8> },
    /// RFC 8037 2
    Ed25519 { x: Vec<u8> },
}

impl Material {
    pub(super) fn parse(kty: &str, members: &Members<'_>) -> Result<Material, KeyFault> {
        match kty {
            "RSA" => {
                Ok(Material::Rsa { modulus: bytes(members, "n")?, exponent: bytes(members, "e")? })
            }
            "EC" => {
                let crv = text(members, "crv")?.ok_or(KeyFault::Missing { member: "crv" })?;
                let curve = Curve::ALL.into_iter().find(|curve| curve.as_str() == crv);
                let curve = curve.ok_or(KeyFault::UnknownCurve)?;
                Ok(Material::Ec { curve, x: bytes(members, "x")?, y: bytes(members, "y")? })
            }
            "OKP" => match text(members, "crv")? {
                None => Err(KeyFault::Missing { member: "crv" }),
                Some("Ed25519") => Ok(Material::Ed25519 { x: bytes(members, "x")? }),
                Some(_) => Err(KeyFault::UnknownCurve),
            },
            _ => Err(KeyFault::UnknownType),
        }
    }

    /// Checks what holds for every algorithm. Whether a point is on its curve is seen when the key
    /// is made ready, and so is done here once more for a key that serves none.
    pub(super) fn check(&self) -> Result<(), KeyFault> {
        match self {
            Material::Rsa { modulus, exponent } => check_rsa(modulus, exponent),
            Material::Ec { curve, x, y } => {
                let length = curve.coordinate_bytes();
                if x.len() != length || y.len() != length {
                    return Err(KeyFault::NotOnCurve);
                }
                self.make_ready(curve.algorithm()).map(drop)
            }
            Material::Ed25519 { x } if x.len() != 32 => Err(KeyFault::NotOnCurve),
            Material::Ed25519 { x } if is_small_order(x) => Err(KeyFault::SmallOrder),
            Material::Ed25519 { .. } => self.make_ready(Algorithm::EdDsa).map(drop),
        }
    }

    /// Whether the algorithm is one for this kind of key (RFC 7518 3.1; RFC 8725 3.1).
    pub(super) fn serves(&self, algorithm: Algorithm) -> bool {
        match (self, algorithm.scheme()) {
            (Material::Rsa { .. }, Scheme::Rsa(_))
            | (Material::Ed25519 { .. }, Scheme::Ed25519) => true,
            (Material::Ec { curve, .. }, Scheme::Ec(wanted, ..)) => *curve == wanted,
            (Material::Rsa { .. }, Scheme::Ec(..) | Scheme::Ed25519)
            | (Material::Ec { .. }, Scheme::Rsa(_) | Scheme::Ed25519)
            | (Material::Ed25519 { .. }, Scheme::Rsa(_) | Scheme::Ec(..)) => false,
        }
    }

    /// The key as its library wants it.
    pub(super) fn make_ready(&self, algorithm: Algorithm) -> Result<ParsedPublicKey, KeyFault> {
        match (self, algorithm.scheme()) {
            (Material::Rsa { modulus, exponent }, Scheme::Rsa(parameters)) => {
                RsaPublicKeyComponents { n: modulus, e: exponent }
                    .to_parsed_public_key(parameters)
                    .map_err(|_| KeyFault::RsaUnsound)
            }
            (Material::Ec { x, y, .. }, Scheme::Ec(_, verification, _)) => {
                // SEC 1, 2.3.3: an uncompressed point. It is checked to be on the curve.
                let point = [&[4], x.as_slice(), y.as_slice()].concat();
                ParsedPublicKey::new(verification, point).map_err(|_| KeyFault::NotOnCurve)
            }
            (Material::Ed25519 { x }, Scheme::Ed25519) => {
                ParsedPublicKey::new(&ED25519, x).map_err(|_| KeyFault::NotOnCurve)
            }
            (Material::Rsa { .. }, Scheme::Ec(..) | Scheme::Ed25519)
            | (Material::Ec { .. }, Scheme::Rsa(_) | Scheme::Ed25519)
            | (Material::Ed25519 { .. }, Scheme::Rsa(_) | Scheme::Ec(..)) => {
                Err(KeyFault::UnknownType)
            }
        }
    }

    /// How long an RSA signature is, in bytes; 0 for other keys.
    pub(super) fn modulus_bytes(&self) -> usize {
        match self {
            Material::Rsa { modulus, .. } => modulus.len(),
            Material::Ec { .. } | Material::Ed25519 { .. } => 0,
        }
    }

    pub(super) fn kty(&self) -> &'static str {
        match self {
            Material::Rsa { .. } => "RSA",
            Material::Ec { .. } => "EC",
            Material::Ed25519 { .. } => "OKP",
        }
    }

    /// The required members and no others, by name (RFC 7638 3.2, RFC 8037 2).
    pub(super) fn members(&self) -> Vec<(&'static str, String)> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let kty = ("kty", self.kty().to_owned());
        match self {
            Material::Rsa { modulus, exponent } => {
                vec![("e", encode(exponent)), kty, ("n", encode(modulus))]
            }
            Material::Ec { curve, x, y } => {
                let crv = ("crv", curve.as_str().to_owned());
                vec![crv, kty, ("x", encode(x)), ("y", encode(y))]
            }
            Material::Ed25519 { x } => {
                vec![("crv", "Ed25519".to_owned()), kty, ("x", encode(x))]
            }
        }
    }

    /// The members in the order and spelling that RFC 7638 3.3 hashes. No value needs escaping.
    pub(super) fn canonical(&self) -> String {
        let members: Vec<String> = self
            .members()
            .iter()
            .map(|(member, value)| format!("\"{member}\":\"{value}\""))
            .collect();
        format!("{{{}}}", members.join(","))
    }
}

/// Whether a point of Ed25519 is one of the eight whose order divides 8, in whatever spelling
/// (RFC 8032 5.1.3: y, little-endian, and the sign of x in the highest bit). Under such a key one
/// signature is good for one message in eight, or for every message, and nobody holds a private half.
fn is_small_order(point: &[u8]) -> bool {
    let mut y = point.to_vec();
    if let Some(last) = y.last_mut() {
        *last &= 0x7f;
    }
    SMALL_ORDER_Y.iter().any(|small| y == small)
}

/// The y of those eight points, whichever sign x has: of orders 1, 2, 4 and 8, and the two that are
/// small enough to be written with p = 2^255 - 19 added.
const SMALL_ORDER_Y: [[u8; 32]; 7] = [
    ended(0x01, 0x00, 0x00), // 1
    ended(0xec, 0xff, 0x7f), // p - 1
    ended(0x00, 0x00, 0x00), // 0
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98,
        0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53,
        0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67,
        0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac,
        0x03, 0x7a,
    ],
    ended(0xed, 0xff, 0x7f), // p, which is 0
    ended(0xee, 0xff, 0x7f), // p + 1, which is 1
];

const fn ended(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

fn check_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), KeyFault> {
    // RFC 7518 2 and 6.3.1: the fewest octets. A second spelling would be a second thumbprint.
    for (member, bytes) in [("n", modulus), ("e", exponent)] {
        if bytes.first().is_none_or(|first| *first == 0) {
            return Err(KeyFault::Malformed { member });
        }
    }
    let bits =
        modulus.len() * 8 - modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    // RFC 7518 3.3
    if !(2048..=8192).contains(&bits) {
        return Err(KeyFault::RsaSize { bits });
    }
    let odd = |bytes: &[u8]| bytes.last().is_some_and(|last| last % 2 == 1);
    if !odd(modulus) || !odd(exponent) || exponent == [1] || exponent.len() > 4 {
        return Err(KeyFault::RsaUnsound);
    }
    if roca::is_fingerprinted(modulus) {
        return Err(KeyFault::RsaGuessable);
    }
    Ok(())
}

fn bytes(members: &Members<'_>, member: &'static str) -> Result<Vec<u8>, KeyFault> {
    let encoded = text(members, member)?.ok_or(KeyFault::Missing { member })?;
    URL_SAFE_NO_PAD.decode(encoded).map_err(|_| KeyFault::Malformed { member })
}
