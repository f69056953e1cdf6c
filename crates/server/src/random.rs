//! Randomness, handed in. Nothing else in the server draws any.

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::clock::Clock;

/// Where randomness comes from. Cloned freely.
#[derive(Clone, Debug, Default)]
pub struct Random(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    /// The same again from the same seed, for the simulation.
    #[cfg(test)]
    Seeded(std::sync::Arc<std::sync::Mutex<crate::chance::Chance>>),
}

impl Random {
    /// The system's.
    pub fn system() -> Random {
        Random(Source::System)
    }

    /// The same again from the same seed.
    #[cfg(test)]
    pub(crate) fn seeded(seed: u64) -> Random {
        let chance = crate::chance::Chance::new(seed);
        Random(Source::Seeded(std::sync::Arc::new(std::sync::Mutex::new(chance))))
    }

    /// `N` random bytes.
    ///
    /// # Panics
    /// Where the system has no randomness: nothing safe can be done then.
    #[expect(clippy::disallowed_methods, reason = "the one place that draws")]
    #[expect(clippy::panic, reason = "a server without randomness must not go on")]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        #[cfg(test)]
        if let Source::Seeded(chance) = &self.0 {
            let mut chance = chance.lock().unwrap();
            bytes.fill_with(|| u8::try_from(chance.below(256)).unwrap());
            return bytes;
        }
        if rand::fill(&mut bytes).is_err() {
            panic!("the operating system gives no randomness");
        }
        bytes
    }

    /// A secret of 256 bits, in letters, digits, `-` and `_`.
    pub fn secret(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.bytes::<32>())
    }

    /// An id of 128 bits, time-ordered (RFC 9562, version 7). It is no secret.
    pub fn id(&self, clock: &Clock) -> [u8; 16] {
        let millis = u64::try_from(clock.now_millis()).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &self.bytes::<10>())
            .into_uuid()
            .into_bytes()
    }

    /// `2 × N` hexadecimal digits.
    pub fn hex<const N: usize>(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = String::with_capacity(2 * N);
        for byte in self.bytes::<N>() {
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_digits_are_two_a_byte_lower_case_and_all_of_them_come() {
        let text = Random::system().hex::<512>();
        assert_eq!(text.len(), 1024);
        let digits: std::collections::BTreeSet<char> = text.chars().collect();
        assert_eq!(digits.into_iter().collect::<String>(), "0123456789abcdef");
        // The leading nought of a small byte is written.
        assert!(text.as_bytes().chunks(2).any(|byte| byte[0] == b'0'));
    }
}
