//! The algorithms of a signature (RFC 7518 3.1, RFC 8037 3.1). There is no `none` and no HMAC: what
//! is not in this list cannot be asked for by mistake.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED,
    EcdsaVerificationAlgorithm, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RsaParameters,
};

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512
    Rs512,
    /// RSASSA-PSS with SHA-256
    Ps256,
    /// RSASSA-PSS with SHA-384
    Ps384,
    /// RSASSA-PSS with SHA-512
    Ps512,
    /// ECDSA on P-256 with SHA-256
    Es256,
    /// ECDSA on P-384 with SHA-384
    Es384,
    /// ECDSA on P-521 with SHA-512
    Es512,
    /// Ed25519 (RFC 8037); Ed448 is not taken
    EdDsa,
}

/// What verifies a signature of an algorithm, by the kind of key that it needs.
pub(crate) enum Scheme {
    Rsa(&'static RsaParameters),
    /// With the length of a signature, in bytes (RFC 7518 3.4).
    Ec(Curve, &'static EcdsaVerificationAlgorithm, usize),
    Ed25519,
}

/// The curves of RFC 7518 6.2.1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
    P521,
}

impl Algorithm {
    /// Every one of them.
    pub const ALL: [Algorithm; 10] = [
        Algorithm::Rs256,
        Algorithm::Rs384,
        Algorithm::Rs512,
        Algorithm::Ps256,
        Algorithm::Ps384,
        Algorithm::Ps512,
        Algorithm::Es256,
        Algorithm::Es384,
        Algorithm::Es512,
        Algorithm::EdDsa,
    ];

    /// Reads an `alg` (RFC 7515 4.1.1: case-sensitive). `Ed25519` is RFC 9864's name for the one
    /// `EdDSA` that is taken here.
    pub fn parse(name: &str) -> Option<Algorithm> {
        if name == "Ed25519" {
            return Some(Algorithm::EdDsa);
        }
        Algorithm::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// As it stands in a header.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Rs256 => "RS256",
            Algorithm::Rs384 => "RS384",
            Algorithm::Rs512 => "RS512",
            Algorithm::Ps256 => "PS256",
            Algorithm::Ps384 => "PS384",
            Algorithm::Ps512 => "PS512",
            Algorithm::Es256 => "ES256",
            Algorithm::Es384 => "ES384",
            Algorithm::Es512 => "ES512",
            Algorithm::EdDsa => "EdDSA",
        }
    }

    pub(crate) fn scheme(self) -> Scheme {
        match self {
            Algorithm::Rs256 => Scheme::Rsa(&RSA_PKCS1_2048_8192_SHA256),
            Algorithm::Rs384 => Scheme::Rsa(&RSA_PKCS1_2048_8192_SHA384),
            Algorithm::Rs512 => Scheme::Rsa(&RSA_PKCS1_2048_8192_SHA512),
            Algorithm::Ps256 => Scheme::Rsa(&RSA_PSS_2048_8192_SHA256),
            Algorithm::Ps384 => Scheme::Rsa(&RSA_PSS_2048_8192_SHA384),
            Algorithm::Ps512 => Scheme::Rsa(&RSA_PSS_2048_8192_SHA512),
            Algorithm::Es256 => Scheme::Ec(Curve::P256, &ECDSA_P256_SHA256_FIXED, 64),
            Algorithm::Es384 => Scheme::Ec(Curve::P384, &ECDSA_P384_SHA384_FIXED, 96),
            Algorithm::Es512 => Scheme::Ec(Curve::P521, &ECDSA_P521_SHA512_FIXED, 132),
            Algorithm::EdDsa => Scheme::Ed25519,
        }
    }
}

impl Curve {
    pub(crate) const ALL: [Curve; 3] = [Curve::P256, Curve::P384, Curve::P521];

    /// The `crv` (RFC 7518 6.2.1.1).
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Curve::P256 => "P-256",
            Curve::P384 => "P-384",
            Curve::P521 => "P-521",
        }
    }

    /// How long a coordinate is, in bytes (RFC 7518 6.2.1.2).
    pub(crate) fn coordinate_bytes(self) -> usize {
        match self {
            Curve::P256 => 32,
            Curve::P384 => 48,
            Curve::P521 => 66,
        }
    }

    /// The one algorithm of RFC 7518 3.4 that uses it.
    pub(crate) fn algorithm(self) -> Algorithm {
        match self {
            Curve::P256 => Algorithm::Es256,
            Curve::P384 => Algorithm::Es384,
            Curve::P521 => Algorithm::Es512,
        }
    }
}
