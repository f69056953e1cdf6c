//! Resource indicators (RFC 8707): for which APIs a token is.

use std::fmt;

use url::Url;

/// No request names more.
pub const MAX_RESOURCES: usize = 8;
/// No identifier is longer, in bytes.
pub const MAX_RESOURCE_BYTES: usize = 512;

/// A set of resource identifiers, sorted, each once. Empty: no API was named, and the token is for
/// whichever API knows its scopes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources(Vec<String>);

/// Why a `resource` parameter cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResourceFault {
    /// not an absolute URI, or longer than [`MAX_RESOURCE_BYTES`]
    NotAbsolute,
    /// it has a fragment (RFC 8707 2)
    Fragment,
    /// more than [`MAX_RESOURCES`]
    TooMany,
    /// no API of this environment, or none that was asked for before
    Unknown {
        /// as it was sent
        resource: String,
    },
    /// an API that knows none of the scopes that the token would have
    NoScope {
        /// its identifier
        resource: String,
    },
}

impl Resources {
    /// Reads the `resource` parameters of a request, as they were sent.
    ///
    /// # Errors
    /// [`ResourceFault::NotAbsolute`], [`ResourceFault::Fragment`] or [`ResourceFault::TooMany`].
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Resources, ResourceFault> {
        let mut resources = Vec::new();
        for text in texts {
            if resources.len() == MAX_RESOURCES {
                return Err(ResourceFault::TooMany);
            }
            check(text)?;
            resources.push(text.to_owned());
        }
        resources.sort_unstable();
        resources.dedup();
        Ok(Resources(resources))
    }

    /// Adds one that was checked before.
    pub(crate) fn insert(&mut self, resource: &str) {
        if let Err(place) = self.0.binary_search_by(|held| held.as_str().cmp(resource)) {
            self.0.insert(place, resource.to_owned());
        }
    }

    /// Whether it is one of them. RFC 3986 6.2.1: compared as text.
    pub fn contains(&self, resource: &str) -> bool {
        self.0.iter().any(|held| held == resource)
    }

    /// Whether each of these is one of `other`.
    pub fn is_within(&self, other: &Resources) -> bool {
        self.0.iter().all(|resource| other.contains(resource))
    }

    /// Whether what was allowed for these is enough for `requested`: none named stands for all.
    pub fn cover(&self, requested: &Resources) -> bool {
        self.is_empty() || (!requested.is_empty() && requested.is_within(self))
    }

    /// Whether none was named.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

/// Separated by blanks, which no URI holds.
impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

/// RFC 8707 2: an absolute URI without a fragment.
fn check(text: &str) -> Result<(), ResourceFault> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_graphic());
    let url = Url::parse(text).ok().filter(|_| is_plain && text.len() <= MAX_RESOURCE_BYTES);
    match url {
        None => Err(ResourceFault::NotAbsolute),
        Some(url) if url.fragment().is_some() => Err(ResourceFault::Fragment),
        Some(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resource_is_an_absolute_uri_without_a_fragment() {
        for (text, expected) in [
            ("https://api.example.com/", Ok(())),
            ("https://api.example.com/app?x=1", Ok(())),
            ("urn:example:api", Ok(())),
            ("/relative", Err(ResourceFault::NotAbsolute)),
            ("", Err(ResourceFault::NotAbsolute)),
            ("https://api.example.com/#part", Err(ResourceFault::Fragment)),
            ("https://api.example.com/ x", Err(ResourceFault::NotAbsolute)),
        ] {
            assert_eq!(Resources::parse([text]).map(|_| ()), expected, "{text}");
        }
        let long = format!("https://api.example.com/{}", "x".repeat(MAX_RESOURCE_BYTES));
        assert_eq!(Resources::parse([long.as_str()]), Err(ResourceFault::NotAbsolute));
        let many: Vec<String> = (0..9).map(|at| format!("https://{at}.example.com")).collect();
        let many = Resources::parse(many.iter().map(String::as_str));
        assert_eq!(many, Err(ResourceFault::TooMany));
    }

    #[test]
    fn resources_are_a_set_that_is_written_as_it_is_read() {
        let read =
            Resources::parse(["https://b.example", "https://a.example", "https://b.example"]);
        let read = read.unwrap();
        assert_eq!(read.to_string(), "https://a.example https://b.example");
        assert_eq!(Resources::parse(read.to_string().split(' ')), Ok(read.clone()));
        assert!(Resources::parse(["https://a.example"]).unwrap().is_within(&read));
        assert!(!read.contains("https://a.example/"));
    }
}
