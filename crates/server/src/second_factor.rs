//! What proves a person beside the password: codes by time (RFC 6238), and recovery codes for who
//! lost the device that makes them.
//!
//! A code is six digits of half a minute, by HMAC-SHA-1: what every app takes. It is taken half a
//! minute early or late too. That each is taken once stands in the store, which keeps the number of
//! the last half minute that was used.

use aws_lc_rs::digest::{Context, SHA256};
use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};
use totp_rs::{Builder, Secret, Totp};
use zeroize::Zeroizing;

use crate::hex::hex;
use crate::random::Random;

/// How many recovery codes somebody gets.
pub const RECOVERY_CODES: usize = 10;
/// 80 random bits each: nobody can guess one, so a fast digest is enough.
const RECOVERY_BYTES: usize = 10;
/// Bytes of a secret (RFC 4226 4).
const SECRET_BYTES: usize = 20;
/// The letters of Base32 (RFC 4648 6).
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The secret that a person's app and this server share. It does not print.
#[derive(Clone)]
pub struct FactorSecret(Zeroizing<[u8; SECRET_BYTES]>);

/// A recovery code, as it is shown once. It does not print.
pub struct RecoveryCode(Zeroizing<String>);

impl FactorSecret {
    /// Draws one.
    pub fn generate(random: &Random) -> FactorSecret {
        FactorSecret(Zeroizing::new(random.bytes()))
    }

    /// One that was stored.
    pub fn from_bytes(bytes: &[u8]) -> Option<FactorSecret> {
        Some(FactorSecret(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// As it is stored, encrypted.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// The number of the half minute whose code this is, if it is one of now, or of the half minute
    /// before or after. Blanks in it are none.
    pub fn step(&self, code: &str, now: i64) -> Option<i64> {
        let digits: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        let step = self.totp("").check(&digits, u64::try_from(now).ok()?)?;
        i64::try_from(step).ok()
    }

    /// The secret in letters, four by four, for who cannot scan it.
    pub fn letters(&self) -> String {
        in_groups(&base32(self.as_bytes()))
    }

    /// What an app reads from the picture: whose account, where, and the secret. `None` for an
    /// address that cannot stand in it.
    pub fn uri(&self, email: &str) -> Option<String> {
        self.totp(email).to_url().ok()
    }

    /// The picture that an app scans, as SVG.
    pub fn picture(&self, email: &str) -> Option<String> {
        let code = QrCode::with_error_correction_level(self.uri(email)?, EcLevel::M).ok()?;
        // Dark on light in both colour schemes: many apps read nothing else.
        let mut image = code.render::<svg::Color<'_>>();
        Some(image.min_dimensions(240, 240).quiet_zone(true).build())
    }

    fn totp(&self, email: &str) -> Totp {
        let mut secret = [0; SECRET_BYTES];
        secret.copy_from_slice(self.as_bytes());
        Builder::new()
            .with_secret(Secret::new_stack(secret))
            .with_issuer(Some("Grantor Partners"))
            .with_account_name(email)
            .build_noncompliant()
    }
}

impl RecoveryCode {
    /// Draws one.
    fn generate(random: &Random) -> RecoveryCode {
        let bytes = Zeroizing::new(random.bytes::<RECOVERY_BYTES>());
        RecoveryCode(Zeroizing::new(in_groups(&base32(bytes.as_slice()))))
    }

    /// As its owner reads it, this one time.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

/// Draws the recovery codes of a person: what is shown, and what is stored.
pub fn recovery_codes(random: &Random, person_id: [u8; 16]) -> (Vec<RecoveryCode>, String) {
    let codes: Vec<RecoveryCode> =
        (0..RECOVERY_CODES).map(|_| RecoveryCode::generate(random)).collect();
    let digests: Vec<String> =
        codes.iter().map(|code| recovery_digest(person_id, code.reveal())).collect();
    (codes, digests.join(" "))
}

/// What stands for a recovery code in the store: bound to the person, and however it was typed.
pub fn recovery_digest(person_id: [u8; 16], code: &str) -> String {
    let letters: String =
        code.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_uppercase();
    let mut context = Context::new(&SHA256);
    context.update(b"recovery code");
    context.update(&person_id);
    context.update(letters.as_bytes());
    hex(context.finish().as_ref())
}

/// The stored codes without the one that was typed; `None` where it is none of them.
pub fn without(stored: &str, person_id: [u8; 16], code: &str) -> Option<String> {
    // What is compared are digests: how long it takes says nothing of a code.
    let digest = recovery_digest(person_id, code);
    let left: Vec<&str> = stored.split(' ').filter(|held| *held != digest).collect();
    let left = left.join(" ");
    (left.len() < stored.len()).then_some(left)
}

/// How many codes are stored.
pub fn count(stored: &str) -> usize {
    stored.split_whitespace().count()
}

fn base32(bytes: &[u8]) -> String {
    let mut letters = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let mut five = [0; 8];
        five[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(five);
        let length = (chunk.len() * 8).div_ceil(5);
        for place in 0..length {
            let index = usize::try_from(bits >> (35 - 5 * place) & 31).unwrap_or(0);
            letters.push(char::from(LETTERS[index]));
        }
    }
    letters
}

fn in_groups(letters: &str) -> String {
    let groups: Vec<&str> =
        letters.as_bytes().chunks(4).filter_map(|group| std::str::from_utf8(group).ok()).collect();
    groups.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, the last six of its eight digits.
    const VECTORS: [(i64, &str); 5] = [
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_111_111_111, "050471"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
    ];

    fn secret() -> FactorSecret {
        FactorSecret::from_bytes(b"12345678901234567890").unwrap()
    }

    #[test]
    fn codes_are_those_of_the_rfc_and_name_their_half_minute() {
        for (at, code) in VECTORS {
            for (now, taken) in [(at, true), (at - 30, true), (at + 30, true), (at + 60, false)] {
                assert_eq!(secret().step(code, now), taken.then_some(at / 30), "{code} at {now}");
            }
        }
        assert_eq!(secret().step(" 287 082 ", 59), Some(1));
        for wrong in ["", "28708", "2870822", "+87082", "287083", "٢٨٧٠٨٢"] {
            assert_eq!(secret().step(wrong, 59), None, "{wrong}");
        }
    }

    #[test]
    fn a_picture_holds_the_secret_and_is_no_more_than_lines() {
        let uri = secret().uri("robin@partner.example").unwrap();
        let letters = secret().letters().replace('-', "");
        assert_eq!(letters, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        assert!(
            uri.starts_with("otpauth://totp/Grantor%20Partners:robin%40partner.example?"),
            "{uri}"
        );
        assert!(uri.contains(&letters), "{uri}");
        let picture = secret().picture("robin@partner.example").unwrap();
        assert!(
            picture.contains("<svg") && !picture.contains("<script") && !picture.contains("style")
        );
    }

    #[test]
    fn a_recovery_code_is_known_however_it_is_typed_and_only_to_its_owner() {
        let random = Random::system();
        let (codes, stored) = recovery_codes(&random, [1; 16]);
        assert_eq!((codes.len(), count(&stored)), (RECOVERY_CODES, RECOVERY_CODES));
        let typed = codes[3].reveal().to_lowercase().replace('-', " ");
        let left = without(&stored, [1; 16], &typed).unwrap();
        assert_eq!(count(&left), RECOVERY_CODES - 1);
        assert_eq!(without(&left, [1; 16], &typed), None);
        assert_eq!(without(&stored, [2; 16], &typed), None);
        assert_eq!(without(&stored, [1; 16], ""), None);
        for code in &codes {
            assert_eq!(code.reveal().len(), 19);
            assert!(!stored.contains(code.reveal()));
        }
    }
}
