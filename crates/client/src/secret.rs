//! A text that is worth something to whoever reads it.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// No fewer characters may show their first ones when a secret is masked.
const MIN_CHARACTERS_TO_BEGIN: usize = 24;

/// A token, a code, a verifier or a secret. It does not print, and its memory is wiped. It goes into
/// what is kept ([`crate::connection::Connection`]), which is encrypted.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes a secret.
    pub fn new(text: String) -> Secret {
        Secret(Zeroizing::new(text))
    }

    /// The secret itself, for the one who owns it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl PartialEq for Secret {
    /// In constant time.
    fn eq(&self, other: &Secret) -> bool {
        use subtle::ConstantTimeEq as _;
        bool::from(self.0.as_bytes().ct_eq(other.0.as_bytes()))
    }
}

impl Eq for Secret {}

/// A secret as it may be shown to its owner: how it begins, where it is long, and its length.
pub fn masked(secret: &str) -> String {
    let characters = secret.chars().count();
    if characters < MIN_CHARACTERS_TO_BEGIN {
        return format!("***({characters} characters)");
    }
    let begin: String = secret.chars().take(4).filter(char::is_ascii_graphic).collect();
    format!("{begin}***({characters} characters)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_neither_printed_nor_shown_where_it_is_short() {
        let secret = Secret::new("canary-of-this-test-0123456789".to_owned());
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(masked(secret.expose()), "cana***(30 characters)");
        assert_eq!(masked("s3cret"), "***(6 characters)");
    }
}
