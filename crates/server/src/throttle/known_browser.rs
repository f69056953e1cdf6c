//! A browser that has been in an account before: strangers who try that account do not stand in its
//! way.
//!
//! It is a sealed list of accounts with an id of its own, in a cookie that outlives the session. It
//! opens nothing: whoever takes it has a handful of tries in an account's own tally, and no more.

use super::subject::{Subject, digest};
use crate::random::Random;
use crate::seal::{Kind, Reader, Sealer};

/// How long a browser is known after it was last signed in with: half a year, in seconds.
pub(crate) const KNOWN_SECONDS: i64 = 180 * 24 * 3600;
/// So many accounts that one browser is known in: the till of a shop, and its staff.
const MOST_ACCOUNTS: usize = 8;

/// A browser that has been in accounts before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownBrowser {
    id: [u8; 16],
    /// The last one first.
    accounts: Vec<[u8; 16]>,
}

impl KnownBrowser {
    /// Opens what a browser shows; `None` where that is nothing of ours, or too old.
    pub fn open(sealer: &Sealer, text: &str, now: i64) -> Option<KnownBrowser> {
        let payload = sealer.open(Kind::KnownBrowser, text).ok()?;
        let mut read = Reader(&payload);
        let (until, id) = (read.integer()?, read.array()?);
        let mut accounts = Vec::new();
        while !read.is_at_end() {
            accounts.push(read.array()?);
        }
        (now < until).then_some(KnownBrowser { id, accounts })
    }

    /// The same browser after a sign-in, or a new one.
    #[must_use]
    pub fn signed_in(
        former: Option<KnownBrowser>,
        subject: &Subject<'_>,
        random: &Random,
    ) -> KnownBrowser {
        let mut browser = former.unwrap_or_else(|| KnownBrowser {
            id: random.bytes(),
            accounts: Vec::with_capacity(1),
        });
        let account = account(subject);
        browser.accounts.retain(|held| *held != account);
        browser.accounts.insert(0, account);
        browser.accounts.truncate(MOST_ACCOUNTS);
        browser
    }

    /// What the browser is to keep.
    pub fn seal(&self, sealer: &Sealer, now: i64) -> String {
        let mut payload = Vec::with_capacity(24 + 16 * self.accounts.len());
        payload.extend_from_slice(&(now + KNOWN_SECONDS).to_be_bytes());
        payload.extend_from_slice(&self.id);
        for account in &self.accounts {
            payload.extend_from_slice(account);
        }
        sealer.seal(Kind::KnownBrowser, &payload, now)
    }

    /// Whether it has been in this account.
    pub fn knows(&self, subject: &Subject<'_>) -> bool {
        self.accounts.contains(&account(subject))
    }

    pub(super) fn id(&self) -> &[u8] {
        &self.id
    }
}

fn account(subject: &Subject<'_>) -> [u8; 16] {
    let all = digest([subject.credential.as_str().as_bytes(), subject.name]);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&all[..16]);
    bytes
}

#[cfg(test)]
mod tests {
    use grantor_protocol::environment::Environment;
    use zeroize::Zeroizing;

    use super::*;
    use crate::seal::{Ring, SealingKey};
    use crate::throttle::Credential;

    const NOW: i64 = 1_800_000_000;

    fn sealer_of(environment: Environment) -> Sealer {
        let secret = Zeroizing::new(vec![7; 32]);
        let key = SealingKey { id: 1, seals_from: 0, secret };
        Sealer::new(Ring::new(environment, 1, vec![key]).unwrap())
    }

    #[test]
    fn s20_a_browser_is_known_in_the_accounts_it_was_in_and_for_half_a_year() {
        let (sealer, random) = (sealer_of(Environment::Staging), Random::seeded(1));
        let names: Vec<String> = (0..9).map(|at| format!("robin{at}@rest.example")).collect();
        let subject = |at: usize| Subject::new(Credential::Password, names[at].as_bytes());
        let first = KnownBrowser::signed_in(None, &subject(0), &random);
        let text = first.seal(&sealer, NOW);
        assert_eq!(
            KnownBrowser::open(&sealer, &text, NOW + KNOWN_SECONDS - 1),
            Some(first.clone())
        );
        assert_eq!(KnownBrowser::open(&sealer, &text, NOW + KNOWN_SECONDS), None);
        assert!(first.knows(&subject(0)) && !first.knows(&subject(1)));
        assert!(!first.knows(&Subject::new(Credential::Client, names[0].as_bytes())));
        let all = (1..9).fold(first.clone(), |browser, at| {
            KnownBrowser::signed_in(Some(browser), &subject(at), &random)
        });
        assert_eq!((all.id, all.accounts.len()), (first.id, MOST_ACCOUNTS));
        assert!(all.knows(&subject(8)) && !all.knows(&subject(0)));
        // Nor does what another environment sealed, or what was changed.
        let other = sealer_of(Environment::Production);
        assert_eq!(KnownBrowser::open(&other, &text, NOW), None);
        let mut changed = text;
        changed.replace_range(40..41, if &changed[40..41] == "A" { "B" } else { "A" });
        assert_eq!(KnownBrowser::open(&sealer, &changed, NOW), None);
    }
}
