//! Randomness, handed in. Nothing else in the server draws any.
//!
//! A call of the generator costs about as much as a MAC, and a request draws several times a few
//! bytes. So each thread draws [`DRAWN_AT_ONCE`] of them and gives each byte away once; what was
//! given away, and what is left when the thread ends, is wiped.
//!
//! They come from the operating system. The generator of aws-lc gathers jitter of its own before
//! its first byte, for 20 ms and more: a server that starts has a request waiting by then.

use std::cell::RefCell;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use zeroize::{Zeroize as _, Zeroizing};

use crate::clock::Clock;
use crate::hex;

/// How many bytes a thread draws at once.
const DRAWN_AT_ONCE: usize = 1024;

thread_local! {
    static DRAWN: RefCell<Drawn> = RefCell::new(Drawn::none());
}

/// What a thread has drawn, and how much of it is left.
struct Drawn {
    bytes: Zeroizing<[u8; DRAWN_AT_ONCE]>,
    left: usize,
}

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
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        #[cfg(test)]
        if let Source::Seeded(chance) = &self.0 {
            let mut chance = chance.lock().unwrap();
            bytes.fill_with(|| u8::try_from(chance.below(256)).unwrap());
            return bytes;
        }
        // A thread that is about to end has none any more.
        let given = DRAWN.try_with(|drawn| drawn.borrow_mut().give(&mut bytes));
        if given.is_err() {
            draw(&mut bytes);
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
        hex::hex(&self.bytes::<N>())
    }
}

impl Drawn {
    fn none() -> Drawn {
        Drawn { bytes: Zeroizing::new([0; DRAWN_AT_ONCE]), left: 0 }
    }

    /// Gives bytes that nobody got before.
    fn give(&mut self, wanted: &mut [u8]) {
        if wanted.len() > DRAWN_AT_ONCE {
            return draw(wanted);
        }
        if wanted.len() > self.left {
            draw(self.bytes.as_mut_slice());
            self.left = DRAWN_AT_ONCE;
        }
        // From the end, so that what is left is always in front.
        let given = &mut self.bytes[self.left - wanted.len()..self.left];
        wanted.copy_from_slice(given);
        given.zeroize();
        self.left -= wanted.len();
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that draws")]
#[expect(clippy::panic, reason = "a server without randomness must not go on")]
fn draw(bytes: &mut [u8]) {
    if getrandom::fill(bytes).is_err() {
        panic!("the operating system gives no randomness");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_byte_is_given_twice_and_what_was_given_is_wiped() {
        let mut drawn = Drawn::none();
        let mut all = std::collections::HashSet::new();
        for _ in 0..10 * DRAWN_AT_ONCE / 24 {
            let mut given = [0; 24];
            drawn.give(&mut given);
            assert!(all.insert(given));
            assert!(drawn.bytes[drawn.left..].iter().all(|byte| *byte == 0));
            assert!(!drawn.bytes.windows(24).any(|window| window == given));
        }
        let mut long = vec![0; 3 * DRAWN_AT_ONCE];
        drawn.give(&mut long);
        assert!(long.chunks(24).all(|part| part.iter().any(|byte| *byte != 0)));
    }

    #[test]
    fn threads_draw_each_their_own() {
        let draw = || (0..100).map(|_| Random::system().bytes::<16>()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(draw)).collect();
        let drawn: Vec<_> = threads.into_iter().flat_map(|one| one.join().unwrap()).collect();
        let all: std::collections::HashSet<_> = drawn.iter().collect();
        assert_eq!(all.len(), drawn.len());
    }

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
