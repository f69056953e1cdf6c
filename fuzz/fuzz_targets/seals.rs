//! Codes, tokens and what else is sealed: what was written opens as it was, as that kind and in that
//! environment alone; whatever is changed on the way, or made up, opens nothing.

#![no_main]

use std::fmt::Debug;
use std::sync::LazyLock;

use grantor::seal::{Kind, NotThisSeal, Ring, Sealer, SealingKey};
use grantor_protocol::environment::Environment;
use libfuzzer_sys::fuzz_target;
use zeroize::Zeroizing;

const KINDS: [Kind; 15] = [
    Kind::Code,
    Kind::Refresh,
    Kind::Access,
    Kind::ClientAccess,
    Kind::Progress,
    Kind::DpopNonce,
    Kind::Device,
    Kind::Csrf,
    Kind::Cursor,
    Kind::Link,
    Kind::Notice,
    Kind::KnownBrowser,
    Kind::Tally,
    Kind::Playground,
    Kind::Verifier,
];
/// Between the second key and the third.
const NOW: i64 = 250;
/// No longer text is opened, in bytes.
const LONGEST: usize = 8 * 1024;

static HERE: LazyLock<Sealer> = LazyLock::new(|| sealer(Environment::Staging, 7));
static ELSEWHERE: LazyLock<Sealer> = LazyLock::new(|| sealer(Environment::Production, 7));
/// After a restore.
static LATER: LazyLock<Sealer> = LazyLock::new(|| sealer(Environment::Staging, 8));

fn sealer(environment: Environment, epoch: i64) -> Sealer {
    let key = |id: u8| SealingKey {
        id: u32::from(id),
        seals_from: i64::from(id) * 100,
        secret: Zeroizing::new(vec![id; 32]),
    };
    #[expect(clippy::expect_used, reason = "there are three keys")]
    let ring = Ring::new(environment, epoch, [1, 2, 3].map(key).into()).expect("a ring");
    Sealer::new(ring)
}

// The first byte says which kind, the second what is changed; the rest is a payload, and a text.
fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        for kind in KINDS {
            assert!(HERE.open(kind, text).is_err(), "nobody sealed it");
        }
    }
    let [kind, change, payload @ ..] = bytes else { return };
    let kind = KINDS[usize::from(*kind) % KINDS.len()];
    let text = HERE.seal(kind, payload, NOW);
    if text.len() > LONGEST {
        assert_eq!(HERE.open(kind, &text), Err(NotThisSeal::Foreign));
        return;
    }
    assert_eq!(HERE.open(kind, &text).as_deref(), Ok(payload));
    for other in KINDS.into_iter().filter(|other| *other != kind) {
        assert_eq!(HERE.open(other, &text), Err(NotThisSeal::OtherKind(kind)));
        let relabelled = text.replacen(kind.prefix(), other.prefix(), 1);
        assert_eq!(HERE.open(other, &relabelled), Err(NotThisSeal::Foreign));
    }
    assert_eq!(ELSEWHERE.open(kind, &text), Err(NotThisSeal::Foreign));
    assert_eq!(LATER.open(kind, &text).is_ok(), kind == Kind::Refresh);
    changed_opens_nothing(kind, &text, *change);
    reads_as_it_was_written(kind, &text);
});

fn changed_opens_nothing(kind: Kind, text: &str, change: u8) {
    let mut other = text.as_bytes().to_vec();
    let at = usize::from(change) * 31 % other.len();
    other[at] = if other[at] == b'A' { b'B' } else { b'A' };
    if let Ok(other) = std::str::from_utf8(&other) {
        assert!(HERE.open(kind, other).is_err());
    }
    assert!(HERE.open(kind, &text[..at]).is_err());
    assert!(HERE.open(kind, &format!("{text}A")).is_err());
}

fn reads_as_it_was_written(kind: Kind, text: &str) {
    match kind {
        Kind::Code => again(text, Sealer::open_code, |seal| HERE.code(seal, NOW)),
        Kind::Refresh => again(text, Sealer::open_refresh, |seal| HERE.refresh(seal, NOW)),
        Kind::Access => again(text, Sealer::open_access, |seal| HERE.access(seal)),
        Kind::ClientAccess => {
            again(text, Sealer::open_client_access, |seal| HERE.client_access(seal));
        }
        Kind::Progress => again(text, Sealer::open_progress, |seal| HERE.progress(seal, NOW)),
        Kind::DpopNonce
        | Kind::Device
        | Kind::Cursor
        | Kind::Link
        | Kind::Notice
        | Kind::KnownBrowser
        | Kind::Tally
        | Kind::Playground
        | Kind::Verifier
        | Kind::Csrf => {}
    }
}

/// What could be read of a payload is all that it says: written and read once more it is the same.
fn again<T: Debug + PartialEq>(
    text: &str,
    open: impl Fn(&Sealer, &str) -> Result<T, NotThisSeal>,
    seal: impl Fn(&T) -> String,
) {
    if let Ok(read) = open(&HERE, text) {
        let written = seal(&read);
        assert_eq!(open(&HERE, &written), Ok(read));
    }
}
