//! Randomness, handed in. Nothing else in this library draws any.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

/// Where randomness comes from. Cloned freely.
#[derive(Clone, Debug, Default)]
pub struct Random(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    System,
    /// The same byte, again and again: for tests that compare what is made.
    Fixed(u8),
}

impl Random {
    /// The system's.
    pub fn system() -> Random {
        Random(Source::System)
    }

    /// No randomness at all: each byte drawn is this one. For tests alone, because whatever is made
    /// of it is known to everybody.
    pub fn fixed(byte: u8) -> Random {
        Random(Source::Fixed(byte))
    }

    /// `N` random bytes.
    ///
    /// # Panics
    /// Where the system has no randomness: nothing safe can be done then.
    pub fn bytes<const N: usize>(&self) -> Zeroizing<[u8; N]> {
        let mut bytes = Zeroizing::new([0; N]);
        match self.0 {
            Source::System => draw(bytes.as_mut_slice()),
            Source::Fixed(byte) => bytes.fill(byte),
        }
        bytes
    }

    /// A secret of 256 bits, in 43 letters, digits, `-` and `_`.
    pub fn secret(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.bytes::<32>().as_slice()))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that draws")]
#[expect(clippy::panic, reason = "a flow without randomness must not go on")]
fn draw(bytes: &mut [u8]) {
    if getrandom::fill(bytes).is_err() {
        panic!("the operating system gives no randomness");
    }
}
