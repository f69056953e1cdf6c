//! Redirect URIs: which may be registered, and whether the one that was sent is one of them.
//!
//! A redirect leaves this server only through a [`ProvedRedirectUri`], and only
//! [`RedirectUri::prove`] makes one. An error that finds no proved URI is a page.

mod words;

use std::fmt;

use aws_lc_rs::digest::{SHA256, digest};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use url::Url;

/// No redirect URI is longer, in bytes.
pub const MAX_REDIRECT_URI_BYTES: usize = 2000;

/// What an answer brings in the query of a redirect URI.
const RESERVED: [&str; 6] = ["code", "state", "iss", "error", "error_description", "error_uri"];

/// A redirect URI that passed the rules of registration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedirectUri(String);

/// Why a URI may not be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegistrationFault {
    /// longer than [`MAX_REDIRECT_URI_BYTES`], or empty
    Length,
    /// not an absolute URI
    NotAbsolute,
    /// a character that is not printable ASCII: a host in another script is written in `xn--` form
    NotAscii,
    /// a fragment (RFC 6749 3.1.2)
    Fragment,
    /// a user name or password before the host
    UserInfo,
    /// `http` outside the loopback literals and `localhost`
    HttpOutsideLoopback,
    /// a scheme that is neither https, nor a private-use one with a dot (RFC 8252 7.1)
    Scheme,
    /// a browser would write it differently: case, a backslash, a default port, dot segments
    NotNormal,
    /// a parameter of its own that the answer will bring: two readers would take two values
    ReservedParameter,
    /// a host with a wildcard, without a name, or with anything in it but letters, digits, `-`, `_`
    /// and dots
    Host,
}

/// A redirect URI that is registered for the client of this very request. Its only constructor is
/// [`RedirectUri::prove`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvedRedirectUri(String);

/// How a redirect URI that was sent differs from a registered one on the same host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// only a slash at the end
    TrailingSlash,
    /// only upper and lower case
    Case,
    /// only `http` for `https`, or the reverse
    Scheme,
    /// only the port
    Port,
    /// only how it is percent-encoded: often encoded twice, or not at all
    Encoding,
    /// only what follows the question mark
    Query,
    /// the path
    Path,
    /// nothing registered for that host, or it is not a URI
    Unknown,
}

/// A redirect URI as a grant remembers it: the first half of its SHA-256. The code went there; the
/// exchange has to name it again, and nothing else is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RedirectUriDigest([u8; 16]);

impl RedirectUriDigest {
    /// Of this URI.
    pub fn of(redirect_uri: &str) -> RedirectUriDigest {
        let whole = digest(&SHA256, redirect_uri.as_bytes());
        let mut half = [0; 16];
        half.copy_from_slice(&whole.as_ref()[..16]);
        RedirectUriDigest(half)
    }

    /// As it is stored.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// From what was stored.
    pub fn from_bytes(bytes: [u8; 16]) -> RedirectUriDigest {
        RedirectUriDigest(bytes)
    }
}

impl RedirectUri {
    /// Takes a URI for registration, or for use from the store.
    ///
    /// # Errors
    /// The [`RegistrationFault`] that a person can mend.
    pub fn register(text: &str) -> Result<RedirectUri, RegistrationFault> {
        if text.is_empty() || text.len() > MAX_REDIRECT_URI_BYTES {
            return Err(RegistrationFault::Length);
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(RegistrationFault::NotAscii);
        }
        let url = Url::parse(text).map_err(|_| RegistrationFault::NotAbsolute)?;
        // RFC 6749 3.1.2
        if url.fragment().is_some() {
            return Err(RegistrationFault::Fragment);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(RegistrationFault::UserInfo);
        }
        check_scheme_and_host(&url)?;
        // Written as every browser writes it, byte for byte: then no two readers can disagree.
        let bare_host = url.path() == "/" && url.query().is_none();
        let normal =
            url.as_str() == text || (bare_host && url.as_str().strip_suffix('/') == Some(text));
        let hidden_dots = text.to_ascii_lowercase().contains("%2e");
        if !normal || hidden_dots {
            return Err(RegistrationFault::NotNormal);
        }
        // RFC 6749 4.1.2 and RFC 9207: what the answer adds must stand once.
        if url.query_pairs().any(|(name, _)| RESERVED.contains(&name.as_ref())) {
            return Err(RegistrationFault::ReservedParameter);
        }
        Ok(RedirectUri(text.to_owned()))
    }

    /// As registered.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the registered one is https: then whoever answers there holds a certificate.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// Proves the URI that was sent, byte for byte; for a loopback literal only the port may
    /// differ (RFC 8252 7.3, RFC 9700 2.1).
    pub fn prove(registered: &[RedirectUri], sent: &str) -> Option<ProvedRedirectUri> {
        registered
            .iter()
            .any(|held| held.0 == sent || same_but_for_loopback_port(&held.0, sent))
            .then(|| ProvedRedirectUri(sent.to_owned()))
    }

    /// How a URI that could not be proved differs from a registered one on its own host.
    pub fn difference(registered: &[RedirectUri], sent: &str) -> Difference {
        registered
            .iter()
            .map(|held| difference(&held.0, sent))
            .min_by_key(|difference| *difference as u8)
            .unwrap_or(Difference::Unknown)
    }
}

impl ProvedRedirectUri {
    /// The URI, as it was sent and registered.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The URI with these parameters behind its own query (RFC 6749 4.1.2).
    pub fn with(&self, parameters: &[(&str, &str)]) -> String {
        let mut target = self.0.clone();
        for (name, value) in parameters {
            target.push(if target.contains('?') { '&' } else { '?' });
            target.push_str(name);
            target.push('=');
            target.extend(utf8_percent_encode(value, QUERY));
        }
        target
    }

    /// The source expression for `form-action`, which Chromium applies to the redirect after a
    /// POST too (CSP level 3, 6.4). CSP has no form for an IPv6 host, so there its scheme stands.
    pub fn form_action_source(&self) -> String {
        match Url::parse(&self.0) {
            Ok(url) => match (url.scheme(), url.host()) {
                ("http" | "https", Some(url::Host::Ipv6(_))) | (_, None) => {
                    format!("{}:", url.scheme())
                }
                ("http" | "https", Some(host)) => match url.port() {
                    Some(port) => format!("{}://{host}:{port}", url.scheme()),
                    None => format!("{}://{host}", url.scheme()),
                },
                (scheme, Some(_)) => format!("{scheme}:"),
            },
            Err(_) => "'none'".to_owned(),
        }
    }

    /// The host that the code goes to, for the customer's eyes; the scheme of a private-use URI.
    pub fn destination(&self) -> String {
        match Url::parse(&self.0) {
            // Whatever stands behind a private-use scheme is a path to its app and no host.
            Ok(url) if !matches!(url.scheme(), "http" | "https") => {
                format!("an app on this device ({})", url.scheme())
            }
            Ok(url) => match (url.host_str().unwrap_or_default(), url.port()) {
                (host, Some(port)) => format!("{host}:{port}"),
                (host, None) => host.to_owned(),
            },
            Err(_) => String::new(),
        }
    }

    /// Whether it is https.
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// Whether it leads to the customer's own machine, where any program may be listening.
    pub fn is_loopback(&self) -> bool {
        match Url::parse(&self.0).as_ref().map(Url::host) {
            Ok(Some(url::Host::Ipv4(address))) => address.is_loopback(),
            Ok(Some(url::Host::Ipv6(address))) => address.is_loopback(),
            Ok(Some(url::Host::Domain(name))) => {
                name == "localhost" || name.ends_with(".localhost")
            }
            Ok(None) | Err(_) => false,
        }
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stays as it is in a query value.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

fn check_scheme_and_host(url: &Url) -> Result<(), RegistrationFault> {
    match url.scheme() {
        "https" | "http" => {
            let host = url.host_str().unwrap_or_default();
            // A browser takes `;` and `,` in a host; in a Content-Security-Policy they end the
            // directive or the policy that names it.
            let plain = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.[]:".contains(&b));
            if host.is_empty() || !plain {
                return Err(RegistrationFault::Host);
            }
            let loopback = matches!(host, "127.0.0.1" | "[::1]" | "localhost");
            if url.scheme() == "http" && !loopback {
                return Err(RegistrationFault::HttpOutsideLoopback);
            }
            Ok(())
        }
        // RFC 8252 7.1: a private-use scheme is a reversed domain name, so it has a dot. That also
        // keeps out javascript:, data:, file:, blob: and the rest of what a browser would run.
        // Nor does it have a host, which a customer could take for the one that the code goes to.
        scheme if scheme.contains('.') && !url.has_host() && url.path().starts_with('/') => Ok(()),
        _ => Err(RegistrationFault::Scheme),
    }
}

/// RFC 8252 7.3: only for the literals, never for `localhost`, which a resolver may turn elsewhere.
fn same_but_for_loopback_port(held: &str, sent: &str) -> bool {
    ["http://127.0.0.1", "http://[::1]"].into_iter().any(|origin| {
        let rest = |uri: &str| uri.strip_prefix(origin).and_then(without_port).map(str::to_owned);
        match (rest(held), rest(sent)) {
            (Some(held), Some(sent)) => held == sent,
            _ => false,
        }
    })
}

/// What follows an optional port; `None` where the port is no port, or a host goes on.
fn without_port(rest: &str) -> Option<&str> {
    let after = match rest.strip_prefix(':') {
        None => rest,
        Some(port) => {
            let digits = port.bytes().take_while(u8::is_ascii_digit).count();
            let canonical = port[..digits].parse::<u16>().ok().filter(|port| *port > 0)?;
            if canonical.to_string() != port[..digits] {
                return None;
            }
            &port[digits..]
        }
    };
    (after.is_empty() || after.starts_with(['/', '?'])).then_some(after)
}

fn difference(held: &str, sent: &str) -> Difference {
    let (Ok(held_url), Ok(sent_url)) = (Url::parse(held), Url::parse(sent)) else {
        return Difference::Unknown;
    };
    let decoded = |text: &str| crate::parameters::decode(text.as_bytes());
    let schemes_differ = held_url.scheme() != sent_url.scheme();
    let hostless = held_url.host_str().is_none();
    if held_url.host_str() != sent_url.host_str() || (hostless && schemes_differ) {
        return Difference::Unknown;
    }
    if held.trim_end_matches('/') == sent.trim_end_matches('/') {
        return Difference::TrailingSlash;
    }
    if held.eq_ignore_ascii_case(sent) {
        return Difference::Case;
    }
    let after_scheme = |uri: &str| uri.split_once("://").map(|(_, rest)| rest.to_owned());
    if schemes_differ && after_scheme(held) == after_scheme(sent) {
        return Difference::Scheme;
    }
    if decoded(held).is_some() && decoded(held) == decoded(sent) {
        return Difference::Encoding;
    }
    if held_url.path() != sent_url.path() {
        return Difference::Path;
    }
    if held_url.query() != sent_url.query() {
        return Difference::Query;
    }
    if held_url.port_or_known_default() != sent_url.port_or_known_default() {
        return Difference::Port;
    }
    Difference::Encoding
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn registered(uris: &[&str]) -> Vec<RedirectUri> {
        uris.iter().map(|uri| RedirectUri::register(uri).unwrap()).collect()
    }

    #[test]
    fn s1_what_may_be_registered() {
        for uri in [
            "https://mycompany.com/redirection/ikentoo",
            "https://mycompany.com",
            "https://mycompany.com/",
            "https://mycompany.com:8443/cb?tenant=1",
            "https://xn--bcher-kva.example/cb",
            "http://127.0.0.1/callback",
            "http://127.0.0.1:4000/callback",
            "http://[::1]/callback",
            "http://localhost:3000/callback",
            "com.example.app:/callback",
        ] {
            assert_eq!(RedirectUri::register(uri).map(|uri| uri.0), Ok(uri.to_owned()));
        }
    }

    #[test]
    fn s1_s22_what_may_not_be_registered_and_why() {
        use RegistrationFault::*;
        for (uri, fault) in [
            ("", Length),
            ("/callback", NotAbsolute),
            ("https://", NotAbsolute),
            ("https://mycompany.com/cb#x", Fragment),
            ("https://mycompany.com/cb#", Fragment),
            ("https://user@mycompany.com/cb", UserInfo),
            ("https://mycompany.com@evil.example/cb", UserInfo),
            ("https://:pass@mycompany.com/cb", UserInfo),
            ("http://mycompany.com/cb", HttpOutsideLoopback),
            ("http://127.0.0.2/cb", HttpOutsideLoopback),
            ("http://127.0.0.1.evil.example/cb", HttpOutsideLoopback),
            ("http://localhost.evil.example/cb", HttpOutsideLoopback),
            ("javascript:alert(1)", Scheme),
            ("JavaScript:alert(1)", Scheme),
            ("data:text/html,x", Scheme),
            ("file:///etc/passwd", Scheme),
            ("blob:https://mycompany.com/x", Scheme),
            ("myapp:/cb", Scheme),
            ("com.evil.app://accounts.example/cb", Scheme),
            ("com.example.app://", Scheme),
            ("javascript.x:alert(1)", Scheme),
            ("HTTPS://mycompany.com/cb", NotNormal),
            ("https://MyCompany.com/cb", NotNormal),
            ("https://mycompany.com:443/cb", NotNormal),
            ("https://mycompany.com\\@evil.example/cb", NotNormal),
            ("https:\\\\mycompany.com/cb", NotNormal),
            ("https:/mycompany.com/cb", NotNormal),
            ("https://mycompany.com/a/../b", NotNormal),
            ("https://mycompany.com/a/%2e%2e/b", NotNormal),
            ("https://bücher.example/cb", NotAscii),
            ("https://mycompany.com/c b", NotAscii),
            ("https://mycompany.com/\tcb", NotAscii),
            ("https://mycompany.com/cb?code=1", ReservedParameter),
            ("https://mycompany.com/cb?tenant=1&%73tate=x", ReservedParameter),
            ("https://*.mycompany.com/cb", Host),
            ("https://a.example;script-src/cb", Host),
            ("https://a.example,default-src/cb", Host),
            ("https://a.example'self'/cb", Host),
            ("http://2130706433/cb", NotNormal),
            ("http://0x7f.1/cb", NotNormal),
        ] {
            assert_eq!(RedirectUri::register(uri), Err(fault), "{uri}");
        }
    }

    #[test]
    fn s1_only_the_same_bytes_are_proved() {
        let held =
            registered(&["https://mycompany.com/redirection/ikentoo", "https://b.example/cb?x=1"]);
        assert!(RedirectUri::prove(&held, "https://mycompany.com/redirection/ikentoo").is_some());
        for sent in [
            "https://mycompany.com/redirection/ikentoo/",
            "https://mycompany.com/redirection/Ikentoo",
            "https://mycompany.com/redirection/ikentoo?",
            "https://mycompany.com/redirection/ikentoo?x=1",
            "https://mycompany.com/redirection/ikentoo#f",
            "https://mycompany.com:443/redirection/ikentoo",
            "https://mycompany.com:444/redirection/ikentoo",
            "https://user@mycompany.com/redirection/ikentoo",
            "https://mycompany.com@evil.example/redirection/ikentoo",
            "https://mycompany.com.evil.example/redirection/ikentoo",
            "https://mycompany.com\\redirection/ikentoo",
            "https://evil.example\\@mycompany.com/redirection/ikentoo",
            "https://mycompany.com/redirection/%69kentoo",
            "https://mycompany.com/redirection/x/../ikentoo",
            "https://mycompany.com/redirection/x/%2e%2e/ikentoo",
            "https://mycompany.com/redirection/x/%252e%252e/ikentoo",
            "HTTPS://mycompany.com/redirection/ikentoo",
            "https://MYCOMPANY.com/redirection/ikentoo",
            "https://mycompany.com./redirection/ikentoo",
            "https://ｍycompany.com/redirection/ikentoo",
            "http://mycompany.com/redirection/ikentoo",
            "//mycompany.com/redirection/ikentoo",
            " https://mycompany.com/redirection/ikentoo",
            "https://mycompany.com/redirection/ikentoo ",
            "https://mycompany.com/redirection/ikentoo\r\nSet-Cookie: a=b",
            "javascript:alert(1)//https://mycompany.com/redirection/ikentoo",
            "https://b.example/cb",
            "https://b.example/cb?x=1&y=2",
        ] {
            assert_eq!(RedirectUri::prove(&held, sent), None, "{sent}");
        }
    }

    #[test]
    fn s1_for_a_loopback_literal_the_port_alone_may_differ() {
        let held = registered(&[
            "http://127.0.0.1/callback",
            "http://[::1]:1/callback",
            "http://localhost:3000/callback",
        ]);
        for sent in [
            "http://127.0.0.1/callback",
            "http://127.0.0.1:1/callback",
            "http://127.0.0.1:65535/callback",
            "http://[::1]/callback",
            "http://[::1]:9/callback",
            "http://localhost:3000/callback",
        ] {
            assert!(RedirectUri::prove(&held, sent).is_some(), "{sent}");
        }
        for sent in [
            "http://127.0.0.1:0/callback",
            "http://127.0.0.1:65536/callback",
            "http://127.0.0.1:080/callback",
            "http://127.0.0.1:+80/callback",
            "http://127.0.0.1:/callback",
            "http://127.0.0.1:80@evil.example/callback",
            "http://127.0.0.1.evil.example/callback",
            "http://127.0.0.1:80/callback/",
            "http://127.0.0.1:80/other",
            "https://127.0.0.1:80/callback",
            "http://localhost:3001/callback",
            "http://localhost/callback",
            "http://127.1/callback",
        ] {
            assert_eq!(RedirectUri::prove(&held, sent), None, "{sent}");
        }
    }

    #[test]
    fn u6_the_kind_of_difference_is_named_only_on_a_registered_host() {
        let held = registered(&["https://mycompany.com/redirection/ikentoo"]);
        for (sent, kind) in [
            ("https://mycompany.com/redirection/ikentoo/", Difference::TrailingSlash),
            ("https://mycompany.com/Redirection/ikentoo", Difference::Case),
            ("http://mycompany.com/redirection/ikentoo", Difference::Scheme),
            ("https://mycompany.com:8443/redirection/ikentoo", Difference::Port),
            ("https://mycompany.com/redirection%2Fikentoo", Difference::Encoding),
            ("https://mycompany.com/other", Difference::Path),
            ("https://mycompany.com/redirection/ikentoo?x=1", Difference::Query),
            ("https://other.example/redirection/ikentoo", Difference::Unknown),
            ("ikentoo", Difference::Unknown),
        ] {
            assert_eq!(RedirectUri::difference(&held, sent), kind, "{sent}");
        }
    }

    #[test]
    fn u6_without_a_host_another_scheme_resembles_nothing() {
        let held = registered(&["com.example.app:/cb"]);
        assert_eq!(RedirectUri::difference(&held, "javascript:/cb"), Difference::Unknown);
        assert_eq!(RedirectUri::difference(&held, "com.example.app:/other"), Difference::Path);
    }

    #[test]
    fn s9_what_leads_to_the_customers_own_machine_is_known_under_every_scheme() {
        for (uri, loopback) in [
            ("http://127.0.0.1/cb", true),
            ("http://[::1]:4000/cb", true),
            ("http://localhost:3000/cb", true),
            ("https://localhost/cb", true),
            ("https://app.localhost/cb", true),
            ("https://127.8.8.8/cb", true),
            ("https://localhost.example/cb", false),
            ("https://a.example/cb", false),
            ("com.example.app:/cb", false),
        ] {
            let proved = RedirectUri::prove(&registered(&[uri]), uri).unwrap();
            assert_eq!(proved.is_loopback(), loopback, "{uri}");
        }
    }

    #[test]
    fn parameters_are_appended_and_nothing_in_them_can_break_out() {
        let proved = |uri: &str| RedirectUri::prove(&registered(&[uri]), uri).unwrap();
        assert_eq!(
            proved("https://a.example/cb").with(&[("code", "x y"), ("state", "a&b=c#\r\nd")]),
            "https://a.example/cb?code=x%20y&state=a%26b%3Dc%23%0D%0Ad"
        );
        assert_eq!(
            proved("https://a.example/cb?t=1").with(&[("code", "x")]),
            "https://a.example/cb?t=1&code=x"
        );
    }

    #[test]
    fn u16_the_form_action_source_is_the_origin_or_the_scheme() {
        for (uri, source) in [
            ("https://a.example/cb", "https://a.example"),
            ("http://127.0.0.1:4000/cb", "http://127.0.0.1:4000"),
            ("http://[::1]:4000/cb", "http:"),
            ("com.example.app:/cb", "com.example.app:"),
        ] {
            let proved = RedirectUri::prove(&registered(&[uri]), uri).unwrap();
            assert_eq!(proved.form_action_source(), source);
        }
    }

    proptest! {
        #[test]
        fn s1_nothing_but_the_registered_bytes_is_ever_proved(sent in "(https://a\\.example/cb|\\PC{0,40})(\\PC{0,5})") {
            let held = registered(&["https://a.example/cb"]);
            prop_assert_eq!(RedirectUri::prove(&held, &sent).is_some(), sent == "https://a.example/cb");
        }

        #[test]
        fn what_is_registered_is_what_a_browser_requests(text in "(https://|http://127\\.0\\.0\\.1|[a-z.]{1,8}:)\\PC{0,30}") {
            if let Ok(uri) = RedirectUri::register(&text) {
                let url = Url::parse(uri.as_str()).unwrap();
                prop_assert!(url.as_str().trim_end_matches('/') == uri.as_str().trim_end_matches('/'));
                prop_assert!(url.fragment().is_none() && url.username().is_empty());
            }
        }
    }
}
