//! Scopes: what a client may ask for, what a customer allowed, what a token carries.

use std::fmt;

use crate::openid;

/// No request names more.
pub const MAX_SCOPES: usize = 64;

/// A set of scope tokens, sorted, each once (RFC 6749 3.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope(Vec<String>);

/// Why a `scope` parameter cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScopeFault {
    /// Scopes are joined by commas.
    Commas,
    /// A scope holds a character that RFC 6749 3.3 does not allow.
    BadCharacter,
    /// More than [`MAX_SCOPES`].
    TooMany,
    /// The client may not ask for this one.
    NotAllowed {
        /// as it was sent
        scope: String,
        /// the one of this client that was meant, where only `_` and `-` or case differ
        meant: Option<String>,
    },
}

/// RFC 6749 3.3: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ), or nothing.
pub fn has_scope_characters(token: &str) -> bool {
    token.bytes().all(|byte| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e))
}

impl Scope {
    /// Reads scopes separated by single or several spaces. An empty text is an empty set.
    ///
    /// # Errors
    /// [`ScopeFault::Commas`], [`ScopeFault::BadCharacter`] or [`ScopeFault::TooMany`].
    pub fn parse(text: &str) -> Result<Scope, ScopeFault> {
        let mut scopes = Vec::new();
        for token in text.split(' ').filter(|token| !token.is_empty()) {
            if token.contains(',') {
                return Err(ScopeFault::Commas);
            }
            if !has_scope_characters(token) {
                return Err(ScopeFault::BadCharacter);
            }
            if scopes.len() == MAX_SCOPES {
                return Err(ScopeFault::TooMany);
            }
            scopes.push(token.to_owned());
        }
        scopes.sort_unstable();
        scopes.dedup();
        Ok(Scope(scopes))
    }

    /// The scopes that a request names, or all of `allowed` where it names none, but for those of
    /// OpenID Connect, which have to be asked for; each must be one of `allowed`.
    ///
    /// # Errors
    /// What [`Scope::parse`] refuses, and [`ScopeFault::NotAllowed`].
    pub fn requested(text: Option<&str>, allowed: &Scope) -> Result<Scope, ScopeFault> {
        let scope = Scope::parse(text.unwrap_or_default())?;
        if scope.is_empty() {
            return Ok(allowed.unless_asked());
        }
        match scope.0.iter().find(|token| !allowed.contains(token)) {
            None => Ok(scope),
            Some(token) => Err(ScopeFault::NotAllowed {
                scope: token.clone(),
                meant: allowed.0.iter().find(|held| alike(held, token)).cloned(),
            }),
        }
    }

    /// These without those of OpenID Connect: a request that says nothing says nothing of the
    /// customer either. All of them where there are no others.
    fn unless_asked(&self) -> Scope {
        let is_standard = |token: &&String| openid::SCOPES.contains(&token.as_str());
        let rest: Vec<String> =
            self.0.iter().filter(|token| !is_standard(token)).cloned().collect();
        if rest.is_empty() { self.clone() } else { Scope(rest) }
    }

    /// Whether it is one of them.
    pub fn contains(&self, token: &str) -> bool {
        self.0.iter().any(|held| held == token)
    }

    /// Whether each of these is one of `other`.
    pub fn is_within(&self, other: &Scope) -> bool {
        self.0.iter().all(|token| other.contains(token))
    }

    /// Those that stand in both.
    #[must_use]
    pub fn intersection(&self, other: &Scope) -> Scope {
        Scope(self.0.iter().filter(|token| other.contains(token)).cloned().collect())
    }

    /// Those of these that do not stand in `other`.
    #[must_use]
    pub fn without(&self, other: &Scope) -> Scope {
        Scope(self.0.iter().filter(|token| !other.contains(token)).cloned().collect())
    }

    /// These and those of `other`.
    #[must_use]
    pub fn union(&self, other: &Scope) -> Scope {
        let mut all: Vec<String> = self.0.iter().chain(&other.0).cloned().collect();
        all.sort_unstable();
        all.dedup();
        Scope(all)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each, in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, token) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            f.write_str(token)?;
        }
        Ok(())
    }
}

fn alike(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.replace('_', "-").to_ascii_lowercase();
    plain(one) == plain(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client() -> Scope {
        Scope::parse("orders-api financial-api offline_access").unwrap()
    }

    #[test]
    fn without_a_scope_the_clients_own_apply() {
        let asked = Scope::parse(openid::OFFLINE_ACCESS).unwrap();
        let rest = client().without(&asked);
        assert!(rest != client() && !rest.is_empty());
        assert_eq!(Scope::requested(None, &client()), Ok(rest.clone()));
        assert_eq!(Scope::requested(Some("  "), &client()), Ok(rest));
        // Who may ask for nothing else means that.
        assert_eq!(Scope::requested(None, &asked), Ok(asked.clone()));
    }

    #[test]
    fn u8_an_underscore_for_a_hyphen_is_recognised_in_both_directions() {
        let meant = |sent: &str| match Scope::requested(Some(sent), &client()) {
            Err(ScopeFault::NotAllowed { meant, .. }) => meant,
            other => panic!("{other:?}"),
        };
        assert_eq!(meant("financial_api").as_deref(), Some("financial-api"));
        assert_eq!(meant("offline-access").as_deref(), Some("offline_access"));
        assert_eq!(meant("items"), None);
    }

    #[test]
    fn u8_commas_between_scopes_are_recognised() {
        assert_eq!(
            Scope::requested(Some("orders-api,financial-api"), &client()),
            Err(ScopeFault::Commas)
        );
    }

    proptest! {
        #[test]
        fn what_is_read_is_sorted_once_each_and_reads_back_the_same(text in "[a-c\\- ]{0,40}") {
            let scope = Scope::parse(&text).unwrap();
            prop_assert_eq!(&Scope::parse(&scope.to_string()).unwrap(), &scope);
            prop_assert!(scope.0.windows(2).all(|pair| pair[0] < pair[1]));
        }

        #[test]
        fn a_request_never_gets_more_than_is_allowed(text in "\\PC{0,200}") {
            if let Ok(scope) = Scope::requested(Some(&text), &client()) {
                prop_assert!(scope.is_within(&client()));
            }
        }
    }
}
