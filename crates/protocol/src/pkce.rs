//! Proof Key for Code Exchange (RFC 7636), S256 alone: `plain` protects against nobody who can
//! read the request.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

/// A code challenge: the SHA-256 of a verifier that only its client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CodeChallenge([u8; 32]);

/// A code verifier as it was presented. It does not print: with a code it is worth a token.
pub struct CodeVerifier(String);

/// Why a challenge or a verifier cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PkceFault {
    /// A challenge came without `code_challenge_method=S256`; absent means `plain`.
    MethodNotS256,
    /// A method came without a challenge.
    ChallengeMissing,
    /// The challenge is not 32 bytes in Base64url without padding.
    ChallengeMalformed,
    /// The client has to use PKCE and sent no challenge.
    Required,
    /// The verifier is not 43 to 128 unreserved characters (RFC 7636 4.1).
    VerifierMalformed,
}

impl CodeChallenge {
    /// Reads the two parameters of an authorization request; `Ok(None)` where neither came.
    ///
    /// # Errors
    /// Every [`PkceFault`] but `Required` and `VerifierMalformed`.
    pub fn parse(
        challenge: Option<&str>,
        method: Option<&str>,
    ) -> Result<Option<CodeChallenge>, PkceFault> {
        let Some(challenge) = challenge else {
            return match method {
                None => Ok(None),
                Some(_) => Err(PkceFault::ChallengeMissing),
            };
        };
        // RFC 7636 4.3: absent means "plain", which this server does not take.
        if method != Some("S256") {
            return Err(PkceFault::MethodNotS256);
        }
        let bytes = URL_SAFE_NO_PAD.decode(challenge).map_err(|_| PkceFault::ChallengeMalformed)?;
        match <[u8; 32]>::try_from(bytes) {
            Ok(bytes) => Ok(Some(CodeChallenge(bytes))),
            Err(_) => Err(PkceFault::ChallengeMalformed),
        }
    }

    /// As it is stored.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From what was stored.
    pub fn from_bytes(bytes: [u8; 32]) -> CodeChallenge {
        CodeChallenge(bytes)
    }

    /// Whether this is the challenge of that verifier (RFC 7636 4.6), in constant time.
    pub fn matches(&self, verifier: &CodeVerifier) -> bool {
        bool::from(self.0.ct_eq(&verifier.challenge().0))
    }
}

impl CodeVerifier {
    /// The challenge that it answers, with S256 (RFC 7636 4.2).
    pub fn challenge(&self) -> CodeChallenge {
        let mut challenge = [0; 32];
        challenge.copy_from_slice(digest(&SHA256, self.0.as_bytes()).as_ref());
        CodeChallenge(challenge)
    }

    /// Reads a `code_verifier`.
    ///
    /// # Errors
    /// [`PkceFault::VerifierMalformed`].
    pub fn parse(text: &str) -> Result<CodeVerifier, PkceFault> {
        let unreserved =
            |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
        // RFC 7636 4.1
        if (43..=128).contains(&text.len()) && text.bytes().all(unreserved) {
            Ok(CodeVerifier(text.to_owned()))
        } else {
            Err(PkceFault::VerifierMalformed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn s6_rfc_7636_appendix_b() {
        let challenge = CodeChallenge::parse(Some(CHALLENGE), Some("S256")).unwrap().unwrap();
        assert!(challenge.matches(&CodeVerifier::parse(VERIFIER).unwrap()));
        let other = format!("{}X", &VERIFIER[..42]);
        assert!(!challenge.matches(&CodeVerifier::parse(&other).unwrap()));
    }

    #[test]
    fn s6_plain_and_an_absent_method_are_refused() {
        for method in [None, Some("plain"), Some("s256")] {
            assert_eq!(
                CodeChallenge::parse(Some(CHALLENGE), method),
                Err(PkceFault::MethodNotS256)
            );
        }
        assert_eq!(CodeChallenge::parse(None, Some("S256")), Err(PkceFault::ChallengeMissing));
    }

    #[test]
    fn s6_a_challenge_of_another_length_padded_or_in_another_alphabet_is_refused() {
        let padded = format!("{CHALLENGE}=");
        let standard = CHALLENGE.replace('-', "+");
        for challenge in ["abc", padded.as_str(), standard.as_str(), VERIFIER.repeat(2).as_str()] {
            assert_eq!(
                CodeChallenge::parse(Some(challenge), Some("S256")),
                Err(PkceFault::ChallengeMalformed),
                "{challenge}"
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "\\PC{0,200}") {
            let _ = CodeChallenge::parse(Some(&text), Some("S256"));
            let taken = CodeVerifier::parse(&text).is_ok();
            prop_assert!(!taken || (43..=128).contains(&text.len()));
        }
    }
}
