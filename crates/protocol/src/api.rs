//! The APIs that an environment gives tokens for, and for which of them a token is (RFC 8707).
//!
//! A token that names no API is for whichever knows its scopes, as in the guide. One that names some
//! is for those alone, and carries those of its scopes that they know.

use crate::client::Client;
use crate::jose::Algorithm;
use crate::resource::{ResourceFault, Resources};
use crate::scope::Scope;

/// One API, as the operator described it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Its identifier: the `aud` of its tokens (RFC 8707 2).
    pub resource: String,
    /// Its name, as customers and developers read it.
    pub name: String,
    /// The scopes that it knows.
    pub scopes: Scope,
    /// What its tokens are.
    pub access_tokens: AccessTokenFormat,
    /// The clients that check its tokens by introspection.
    pub introspection_clients: Vec<String>,
}

/// What an access token is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessTokenFormat {
    /// A seal: who wants to know what it opens asks here.
    #[default]
    Sealed,
    /// `at+jwt`, signed with ES256 (RFC 9068).
    Es256,
    /// `at+jwt`, signed with Ed25519.
    EdDsa,
}

/// What a client that checks the tokens of APIs sees of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Those of its scopes that these APIs know.
    pub scope: Scope,
    /// For which APIs it is: those that it names, or where it names none, those of the client's that
    /// know a scope of it.
    pub audience: Resources,
}

/// All APIs of an environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apis(Vec<Api>);

impl AccessTokenFormat {
    /// All of them.
    pub const ALL: [AccessTokenFormat; 3] =
        [AccessTokenFormat::Sealed, AccessTokenFormat::Es256, AccessTokenFormat::EdDsa];

    /// As the configuration names it.
    pub fn as_str(self) -> &'static str {
        match self {
            AccessTokenFormat::Sealed => "sealed",
            AccessTokenFormat::Es256 => "ES256",
            AccessTokenFormat::EdDsa => "EdDSA",
        }
    }

    /// How it is signed, if it is.
    pub fn algorithm(self) -> Option<Algorithm> {
        match self {
            AccessTokenFormat::Sealed => None,
            AccessTokenFormat::Es256 => Some(Algorithm::Es256),
            AccessTokenFormat::EdDsa => Some(Algorithm::EdDsa),
        }
    }
}

impl Apis {
    /// Takes them as they were checked.
    pub fn new(apis: Vec<Api>) -> Apis {
        Apis(apis)
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Api> {
        self.0.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The API with this identifier. Nothing and a slash are the same path of a host (RFC 3986
    /// 6.2.3), and some libraries write one where there is none.
    pub fn find(&self, resource: &str) -> Option<&Api> {
        self.0.iter().find(|api| is_same(&api.resource, resource))
    }

    /// Their names, for the customer's eyes; none where it is for whichever knows the scopes.
    pub fn names(&self, resources: &Resources) -> Vec<String> {
        let named = resources.iter().filter_map(|resource| self.find(resource));
        named.map(|api| api.name.clone()).collect()
    }

    /// The APIs that a request names, each by the identifier that it has here.
    ///
    /// # Errors
    /// [`ResourceFault::Unknown`]
    pub fn resolve(&self, requested: &Resources) -> Result<Resources, ResourceFault> {
        let known = requested.iter().map(|resource| match self.find(resource) {
            Some(api) => Ok(api.resource.as_str()),
            None => Err(ResourceFault::Unknown { resource: resource.to_owned() }),
        });
        Resources::parse(known.collect::<Result<Vec<_>, _>>()?)
    }

    /// The APIs that a request names, where each knows a scope that is asked for: for any other the
    /// token would open nothing, and be taken by whoever looks at its audience alone (RFC 8707 2).
    ///
    /// # Errors
    /// [`ResourceFault::Unknown`], [`ResourceFault::NoScope`]
    pub fn asked(&self, requested: &Resources, scope: &Scope) -> Result<Resources, ResourceFault> {
        let requested = self.resolve(requested)?;
        self.each_with_scope(&requested, scope)?;
        Ok(requested)
    }

    /// For which APIs a token of this scope is: those that its request names, of those that were
    /// granted (RFC 8707 2.2).
    ///
    /// # Errors
    /// [`ResourceFault::Unknown`], [`ResourceFault::NoScope`]
    pub fn narrowed(
        &self,
        requested: &Resources,
        granted: &Resources,
        scope: &Scope,
    ) -> Result<Resources, ResourceFault> {
        if requested.is_empty() {
            // A customer may have left out what one of them knows; the token is for the others.
            return match granted.iter().next() {
                Some(first) if self.scope_for(granted, scope).is_empty() => {
                    Err(ResourceFault::NoScope { resource: first.to_owned() })
                }
                _ => Ok(granted.clone()),
            };
        }
        let requested = self.resolve(requested)?;
        let beyond = requested.iter().find(|named| !granted.is_empty() && !granted.contains(named));
        if let Some(resource) = beyond {
            return Err(ResourceFault::Unknown { resource: resource.to_owned() });
        }
        self.each_with_scope(&requested, scope)?;
        Ok(requested)
    }

    fn each_with_scope(&self, named: &Resources, scope: &Scope) -> Result<(), ResourceFault> {
        let knows_none = |resource: &&str| {
            self.find(resource).is_none_or(|api| api.scopes.intersection(scope).is_empty())
        };
        match named.iter().find(knows_none) {
            None => Ok(()),
            Some(resource) => Err(ResourceFault::NoScope { resource: resource.to_owned() }),
        }
    }

    /// Those of the scopes that these APIs know; all of them where no API is named. Those of OpenID
    /// Connect are for `/oauth/userinfo`, and for another API only where it knows them.
    pub fn scope_for(&self, resources: &Resources, scope: &Scope) -> Scope {
        if resources.is_empty() {
            return scope.clone();
        }
        let known = resources.iter().filter_map(|resource| self.find(resource));
        let of_apis = known.fold(Scope::default(), |all, api| all.union(&api.scopes));
        scope.intersection(&of_apis)
    }

    /// What a token for these APIs is. A signed one is for one API alone: a verifier that takes a
    /// token for two could use it at the other.
    pub fn format_for(&self, resources: &Resources) -> AccessTokenFormat {
        let mut named = resources.iter();
        match (named.next().and_then(|only| self.find(only)), named.next()) {
            (Some(api), None) => api.access_tokens,
            _ => AccessTokenFormat::Sealed,
        }
    }

    /// What `client` may see of a token because it checks the tokens of an API (rule 10 of
    /// introspection: only tokens of its audience). `None` where it checks none that this token is
    /// for.
    pub fn seen_by(&self, client: &Client, resources: &Resources, scope: &Scope) -> Option<Seen> {
        let mut seen = None;
        let checked = self.0.iter().filter(|api| api.introspection_clients.contains(&client.id));
        for api in checked {
            let Some(scope) = api.sees(resources, scope) else { continue };
            let new = || Seen { scope: Scope::default(), audience: resources.clone() };
            let seen = seen.get_or_insert_with(new);
            seen.scope = seen.scope.union(&scope);
            if resources.is_empty() {
                seen.audience.insert(&api.resource);
            }
        }
        seen
    }
}

impl Api {
    /// The scopes that this API may see of a token: those that it knows. `None` where the token is
    /// for others, or names no API and has no scope of this one.
    pub fn sees(&self, resources: &Resources, scope: &Scope) -> Option<Scope> {
        let is_audience = resources.is_empty() || resources.contains(&self.resource);
        let seen = scope.intersection(&self.scopes);
        (is_audience && !seen.is_empty()).then_some(seen)
    }
}

/// Whether a token for these APIs is for whoever answers at `base_url`, too: it names that, or none.
pub fn is_for(resources: &Resources, base_url: &str) -> bool {
    resources.is_empty() || resources.iter().any(|resource| is_same(resource, base_url))
}

/// Whether two identifiers name one API: nothing and a slash are the same path of a host (RFC 3986
/// 6.2.3), and everything else is compared as text.
pub fn is_same(one: &str, other: &str) -> bool {
    bare(one) == bare(other)
}

/// Without the slash that stands for no path at all.
fn bare(resource: &str) -> &str {
    let stripped = resource.strip_suffix('/').unwrap_or(resource);
    let is_host_alone =
        stripped.split_once("://").is_some_and(|(_, rest)| !rest.contains(['/', '?', '#']));
    if is_host_alone { stripped } else { resource }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::fixtures::client;

    fn apis() -> Apis {
        let api = |resource: &str, scopes: &str, access_tokens, checker: &str| Api {
            resource: resource.into(),
            name: "An API".into(),
            scopes: Scope::parse(scopes).unwrap(),
            access_tokens,
            introspection_clients: vec![checker.into()],
        };
        Apis::new(vec![
            api("https://a.example", "orders items", AccessTokenFormat::Sealed, "checker-of-a"),
            api("https://b.example/v1", "finance", AccessTokenFormat::Es256, "checker-of-b"),
        ])
    }

    fn named(texts: &[&str]) -> Resources {
        Resources::parse(texts.iter().copied()).unwrap()
    }

    fn scope(text: &str) -> Scope {
        Scope::parse(text).unwrap()
    }

    #[test]
    fn a_resource_is_known_by_its_identifier_and_an_empty_path_may_be_a_slash() {
        let apis = apis();
        let found = apis.resolve(&named(&["https://a.example/", "https://b.example/v1"])).unwrap();
        assert_eq!(found, named(&["https://a.example", "https://b.example/v1"]));
        for unknown in ["https://b.example/v1/", "https://a.example/x", "https://a.example?x"] {
            let fault = ResourceFault::Unknown { resource: unknown.into() };
            assert_eq!(apis.resolve(&named(&[unknown])), Err(fault), "{unknown}");
        }
    }

    #[test]
    fn a_token_is_for_what_was_granted_or_less() {
        let apis = apis();
        let (a, b) = (named(&["https://a.example"]), named(&["https://b.example/v1"]));
        let both = named(&["https://a.example", "https://b.example/v1"]);
        let none = Resources::default();
        let whole = scope("orders finance");
        assert_eq!(apis.narrowed(&none, &both, &whole), Ok(both.clone()));
        assert_eq!(apis.narrowed(&a, &both, &whole), Ok(a.clone()));
        assert_eq!(apis.narrowed(&a, &none, &whole), Ok(a.clone()));
        assert!(apis.narrowed(&b, &a, &whole).is_err());
        assert!(apis.narrowed(&named(&["https://c.example"]), &none, &whole).is_err());
        assert_eq!(apis.format_for(&a), AccessTokenFormat::Sealed);
        assert_eq!(apis.format_for(&b), AccessTokenFormat::Es256);
        assert_eq!(apis.format_for(&both), AccessTokenFormat::Sealed);
        assert_eq!(apis.format_for(&none), AccessTokenFormat::Sealed);
    }

    #[test]
    fn an_api_that_knows_none_of_the_scopes_gets_no_token() {
        let apis = apis();
        let (a, b) = (named(&["https://a.example"]), named(&["https://b.example/v1"]));
        let both = named(&["https://a.example", "https://b.example/v1"]);
        let none = Resources::default();
        let at_b = Err(ResourceFault::NoScope { resource: "https://b.example/v1".into() });
        for asked in ["orders", "openid email orders", "finances"] {
            let asked = scope(asked);
            assert_eq!(apis.asked(&b, &asked), at_b);
            for granted in [&none, &b, &both] {
                assert_eq!(apis.narrowed(&b, granted, &asked), at_b);
            }
            assert_eq!(apis.narrowed(&none, &b, &asked), at_b);
        }
        assert_eq!(apis.asked(&both, &scope("orders")), at_b);
        assert_eq!(apis.asked(&both, &scope("items finance")), Ok(both.clone()));
        assert_eq!(apis.asked(&a, &scope("orders")), Ok(a));
        // Of what was granted, one may have lost its scopes at the consent page.
        assert_eq!(apis.narrowed(&none, &both, &scope("orders")), Ok(both));
        assert_eq!(apis.narrowed(&none, &none, &Scope::default()), Ok(none));
    }

    #[test]
    fn a_token_is_for_a_place_that_it_names_or_for_all() {
        let here = "https://a.example";
        assert!(is_for(&Resources::default(), here));
        assert!(is_for(&named(&["https://a.example/", "https://b.example"]), here));
        assert!(!is_for(&named(&["https://b.example"]), here));
        assert!(!is_for(&named(&["https://a.example/v1"]), here));
    }

    #[test]
    fn a_token_for_an_api_carries_the_scopes_that_it_knows() {
        let apis = apis();
        let asked = scope("openid email orders finance");
        let at_a = apis.scope_for(&named(&["https://a.example"]), &asked);
        assert_eq!(at_a, scope("orders"));
        assert_eq!(apis.scope_for(&Resources::default(), &asked), asked);
    }

    #[test]
    fn s17_a_resource_server_sees_tokens_of_its_audience_and_its_scopes_of_them() {
        let apis = apis();
        let mut checker = client();
        checker.id = "checker-of-a".into();
        let none = Resources::default();
        let (a, b) = (named(&["https://a.example"]), named(&["https://b.example/v1"]));
        let whole = scope("orders finance");
        let orders = Some(Seen { scope: scope("orders"), audience: a.clone() });
        assert_eq!(apis.seen_by(&checker, &a, &whole), orders);
        assert_eq!(apis.seen_by(&checker, &none, &whole), orders);
        let both = named(&["https://a.example", "https://b.example/v1"]);
        let of_both = Some(Seen { scope: scope("orders"), audience: both.clone() });
        assert_eq!(apis.seen_by(&checker, &both, &whole), of_both);
        assert_eq!(apis.seen_by(&checker, &b, &whole), None);
        assert_eq!(apis.seen_by(&checker, &none, &scope("finance")), None);
        assert_eq!(apis.seen_by(&client(), &a, &whole), None);
    }
}
