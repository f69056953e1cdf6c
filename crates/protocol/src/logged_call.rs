//! What of a call may be kept for the owner of its client.
//!
//! 1. [`SentParameters::of`] takes names and values: of the names only those that are known, because
//!    people paste secrets in the place of a name too; of the values only those of an explicit list,
//!    and of those none that looks like a token or holds what was sent as a secret beside it;
//! 2. [`claimed_client_id`] says whose call it claims to be, as far as anybody can tell from a
//!    header or form that was refused;
//! 3. [`Endpoint`] and [`Outcome`] are where it went and what became of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::client_assertion;
use crate::client_authentication::BasicCredentials;
use crate::client_call::ClientCall;
use crate::parameters::Parameters;

/// No value that is kept is longer, in bytes.
pub const MAX_VALUE_BYTES: usize = 512;
/// No client id that is claimed is longer, in bytes.
const MAX_ID_BYTES: usize = 512;
/// No more parameters are kept of one call.
const MAX_PARAMETERS: usize = 40;
/// A secret of fewer characters may stand in another value by chance.
const SECRET_CHARACTERS: usize = 6;
/// What every code and token of this server begins with.
const SEAL_PREFIX: &str = "gr_";

/// Where a call went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `/oauth/authorize`
    Authorize,
    /// `/oauth/token`
    Token,
    /// `/oauth/par`
    PushedRequest,
    /// `/oauth/revoke`
    Revoke,
    /// `/oauth/introspect`
    Introspect,
    /// `/oauth/device_authorization`
    DeviceAuthorization,
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// tokens left
    Issued,
    /// the same tokens left once more: a refresh was repeated inside its window
    Repeated,
    /// a code left
    Code,
    /// it was answered as it asked
    Answered,
    /// a page told the person in front of the browser what is wrong
    Page,
    /// an error was told to the client through the browser
    Redirected,
    /// an error was answered
    Refused,
}

/// One parameter as it was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentParameter {
    /// Its name.
    pub name: String,
    /// Whether it stood in the URL, and not in the body.
    pub in_url: bool,
    /// Its value, where that is no secret.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub value: Option<String>,
}

/// What of the parameters of a call may be kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentParameters {
    /// Those whose names are known, in order.
    pub named: Vec<SentParameter>,
    /// How many others there were.
    pub others: usize,
    /// Whether a value was left out because it is, or holds, a secret that was sent. Words that
    /// repeat what was sent are then not to be kept either.
    #[serde(skip)]
    pub holds_secret: bool,
}

/// How much of a parameter may be kept.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kept {
    /// its name
    Name,
    /// a value out of a small vocabulary: what does not look like a word of one is not kept
    Word,
    /// its value, where that is a URI
    Uri,
    /// its value, where none of its words looks drawn at random
    Scope,
    /// the id of the client whose log it is, and no other
    ClientId,
}

/// The parameters that are known, and what may be kept of each.
const KNOWN: [(&str, Kept); 42] = [
    ("acr_values", Kept::Name),
    ("claims", Kept::Name),
    ("client_assertion", Kept::Name),
    ("client_assertion_type", Kept::Word),
    ("client_id", Kept::ClientId),
    ("client-id", Kept::ClientId),
    ("client_secret", Kept::Name),
    ("client-secret", Kept::Name),
    ("code", Kept::Name),
    ("code_challenge", Kept::Name),
    ("code_challenge_method", Kept::Word),
    ("code_verifier", Kept::Name),
    ("device_code", Kept::Name),
    ("display", Kept::Word),
    ("dpop_jkt", Kept::Name),
    ("grant_type", Kept::Word),
    ("id_token_hint", Kept::Name),
    ("login_hint", Kept::Name),
    ("max_age", Kept::Name),
    ("nonce", Kept::Name),
    ("password", Kept::Name),
    ("prompt", Kept::Word),
    ("redirect_uri", Kept::Uri),
    ("refresh_token", Kept::Name),
    ("registration", Kept::Name),
    ("request", Kept::Name),
    ("request_uri", Kept::Name),
    ("resource", Kept::Uri),
    ("response_mode", Kept::Word),
    ("response_type", Kept::Word),
    ("scope", Kept::Scope),
    ("state", Kept::Name),
    ("token", Kept::Name),
    ("access_token", Kept::Name),
    ("assertion", Kept::Name),
    ("audience", Kept::Name),
    ("code-verifier", Kept::Name),
    ("refresh-token", Kept::Name),
    ("token_type_hint", Kept::Word),
    ("ui_locales", Kept::Name),
    ("user_code", Kept::Name),
    ("username", Kept::Name),
];

/// Whether a parameter of that name is known, so that the name itself is no secret.
pub fn is_known(name: &str) -> bool {
    kept(name).is_some()
}

fn kept(name: &str) -> Option<Kept> {
    KNOWN.iter().find(|(known, _)| *known == name).map(|(_, kept)| *kept)
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Endpoint; 6] = [
        Endpoint::Authorize,
        Endpoint::Token,
        Endpoint::PushedRequest,
        Endpoint::Revoke,
        Endpoint::Introspect,
        Endpoint::DeviceAuthorization,
    ];

    /// Its path.
    pub fn path(self) -> &'static str {
        match self {
            Endpoint::Authorize => "/oauth/authorize",
            Endpoint::Token => "/oauth/token",
            Endpoint::PushedRequest => "/oauth/par",
            Endpoint::Revoke => "/oauth/revoke",
            Endpoint::Introspect => "/oauth/introspect",
            Endpoint::DeviceAuthorization => "/oauth/device_authorization",
        }
    }

    /// The endpoint of that path.
    pub fn parse(path: &str) -> Option<Endpoint> {
        Endpoint::ALL.into_iter().find(|endpoint| endpoint.path() == path)
    }
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 7] = [
        Outcome::Issued,
        Outcome::Repeated,
        Outcome::Code,
        Outcome::Answered,
        Outcome::Page,
        Outcome::Redirected,
        Outcome::Refused,
    ];

    /// Its name, as it is stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Issued => "issued",
            Outcome::Repeated => "repeated",
            Outcome::Code => "code",
            Outcome::Answered => "answered",
            Outcome::Page => "page",
            Outcome::Redirected => "redirected",
            Outcome::Refused => "refused",
        }
    }

    /// The outcome of that name.
    pub fn parse(name: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }

    /// Whether the call got what it asked for.
    pub fn is_success(self) -> bool {
        matches!(self, Outcome::Issued | Outcome::Repeated | Outcome::Code | Outcome::Answered)
    }
}

impl SentParameters {
    /// Reads query and body, and keeps of them what may be kept in the log of that client.
    pub fn of(call: &ClientCall<'_>, client_id: &str) -> SentParameters {
        let (query, body) = (Parameters::parse(call.query), Parameters::parse(call.body));
        let secrets = Secrets::of(call, [&query, &body]);
        let mut sent = SentParameters::default();
        for (in_url, parameters) in [(true, &query), (false, &body)] {
            for (name, value) in parameters.pairs() {
                let Some(kept) = kept(name).filter(|_| sent.named.len() < MAX_PARAMETERS) else {
                    sent.others += 1;
                    continue;
                };
                let shows = match kept {
                    Kept::Name => false,
                    Kept::Word => is_word(value),
                    Kept::Uri => is_uri(value),
                    Kept::Scope => !value.split([' ', ',']).any(looks_random),
                    Kept::ClientId => value == client_id,
                };
                let is_secret = kept != Kept::Name && secrets.stand_in(value);
                sent.holds_secret |= is_secret || kept != Kept::Name && !shows;
                let value = (shows && !is_secret).then(|| shortened(value, MAX_VALUE_BYTES));
                sent.named.push(SentParameter { name: name.to_owned(), in_url, value });
            }
        }
        sent
    }

    /// Whether a parameter of that name was sent.
    pub fn contains(&self, name: &str) -> bool {
        self.named.iter().any(|sent| sent.name == name)
    }

    /// The value of a parameter, where it was kept.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.named.iter().find(|sent| sent.name == name).and_then(|sent| sent.value.as_deref())
    }
}

/// What was sent as a secret in this very call: it may stand in another place too.
struct Secrets(Vec<String>);

impl Secrets {
    fn of(call: &ClientCall<'_>, forms: [&Parameters; 2]) -> Secrets {
        let sent = forms.into_iter().flat_map(|form| {
            let secret = |name: &str| kept(name) == Some(Kept::Name);
            form.pairs().filter(move |(name, _)| secret(name)).map(|(_, value)| value.to_owned())
        });
        let headers = call.authorization.iter().flat_map(|header| {
            let decoded = decoded_basic(header);
            let secret = decoded.as_deref().and_then(|text| text.split_once(':'));
            secret.map(|(_, secret)| secret.trim().to_owned())
        });
        let long = |text: &String| text.chars().count() >= SECRET_CHARACTERS;
        Secrets(sent.chain(headers).filter(long).collect())
    }

    fn stand_in(&self, value: &str) -> bool {
        value.contains(SEAL_PREFIX) || self.0.iter().any(|secret| value.contains(secret.as_str()))
    }
}

/// Whose call it claims to be: by its header, however badly that is written, by an id in the form,
/// or by its assertion. Nothing of that is proved.
pub fn claimed_client_id(call: &ClientCall<'_>) -> Option<String> {
    let header = call.authorization.first().and_then(|header| {
        let basic = BasicCredentials::parse(header).ok().map(|basic| basic.client_id);
        basic.or_else(|| {
            let text = decoded_basic(header)?;
            let (id, _) = text.split_once(':')?;
            Some(id.trim_matches(|c: char| c.is_whitespace() || c == '"').to_owned())
        })
    });
    let claimed = header.or_else(|| {
        let forms = [Parameters::parse(call.body), Parameters::parse(call.query)];
        let named = |name| forms.iter().find_map(|form| form.values(name).next());
        let id = named("client_id").or_else(|| named("client-id")).map(str::to_owned);
        id.or_else(|| {
            let assertion = client_assertion::parse(named("client_assertion")?).ok()?;
            client_assertion::claimed_client_id(&assertion)
        })
    });
    claimed.filter(|id| !id.is_empty() && id.len() <= MAX_ID_BYTES && !id.contains('\0'))
}

/// What a Basic header holds, with more patience than whoever answers it.
fn decoded_basic(header: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(header).ok()?.trim();
    let encoded = text.split_once(' ').map_or(text, |(_, encoded)| encoded);
    if encoded.contains(':') {
        return Some(encoded.to_owned());
    }
    let bare: String = encoded.chars().filter(|c| !c.is_whitespace() && *c != '"').collect();
    let decoded = STANDARD.decode(bare).ok()?;
    String::from_utf8(decoded).ok()
}

/// Whether a value looks like a word of a specification, and not like a secret.
fn is_word(value: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || matches!(c, '_' | '-' | ':' | ' ');
    value == "S256" || value.len() <= 64 && value.chars().all(letter)
}

/// Words, within their bound.
pub(crate) fn bounded(words: String) -> String {
    match words.len() <= crate::cause::MAX_WORDS_BYTES {
        true => words,
        false => shortened(&words, crate::cause::MAX_WORDS_BYTES),
    }
}

/// Whether it begins as a URI does (RFC 3986 3.1): whatever else stands in the place of one may have
/// been pasted there.
fn is_uri(value: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let scheme = value.split_once(':').map_or("", |(scheme, _)| scheme);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(part)
}

/// Capitals, small letters and digits together, as a secret has them and no scope.
fn looks_random(word: &str) -> bool {
    let has = |kind: fn(&char) -> bool| word.chars().any(|c| kind(&c));
    has(char::is_ascii_uppercase) && has(char::is_ascii_lowercase) && has(char::is_ascii_digit)
}

/// The beginning of a text, with three dots where it goes on, in so many bytes at most.
fn shortened(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes.saturating_sub(3));
    format!("{}...", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn call<'a>(query: &'a str, body: &'a str, authorization: &'a [&'a [u8]]) -> ClientCall<'a> {
        ClientCall {
            query: query.as_bytes(),
            content_type: Some("application/x-www-form-urlencoded"),
            authorization,
            body: body.as_bytes(),
        }
    }

    fn kept_of(query: &str, body: &str) -> SentParameters {
        SentParameters::of(&call(query, body, &[]), "app")
    }

    #[test]
    fn s28_names_that_are_known_are_kept_and_values_of_a_list_alone() {
        let sent = kept_of(
            "grant_type=authorization_code&code=VlWFo0&s3cretPasted=1&client-id=app&state=xyzzy",
            "redirect_uri=https%3A%2F%2Fa.example%2Fcb&client_id=other&code_challenge_method=S256",
        );
        let shown: Vec<(&str, bool, Option<&str>)> = sent
            .named
            .iter()
            .map(|sent| (sent.name.as_str(), sent.in_url, sent.value.as_deref()))
            .collect();
        assert_eq!(
            shown,
            [
                ("grant_type", true, Some("authorization_code")),
                ("code", true, None),
                ("client-id", true, Some("app")),
                ("state", true, None),
                ("redirect_uri", false, Some("https://a.example/cb")),
                ("client_id", false, None),
                ("code_challenge_method", false, Some("S256")),
            ]
        );
        assert_eq!(sent.others, 1);
    }

    #[test]
    fn s28_a_secret_in_the_place_of_another_value_is_not_kept() {
        // What was sent as a secret, and again where it does not belong.
        let sent =
            kept_of("", "client_secret=topsecret1&scope=a+topsecret1&redirect_uri=topsecret1");
        assert_eq!((sent.value("scope"), sent.value("redirect_uri")), (None, None));
        // A token of ours, whoever sent it where.
        let sent = kept_of("scope=gr_refresh_AbC", "resource=https%3A%2F%2Fa%2Fgr_access_x");
        assert_eq!((sent.value("scope"), sent.value("resource")), (None, None));
        // A word is what looks like one.
        let sent = kept_of("grant_type=aGVsbG8gd29ybGQ", "prompt=Xy7");
        assert_eq!((sent.value("grant_type"), sent.value("prompt")), (None, None));
        let header = format!("Basic {}", STANDARD.encode("app:topsecret1"));
        let headers = [header.as_bytes()];
        let sent = SentParameters::of(&call("scope=topsecret1", "", &headers), "app");
        assert_eq!(sent.value("scope"), None);
    }

    #[test]
    fn u8_whose_call_it_claims_to_be_is_read_from_a_header_that_is_refused() {
        let encoded = STANDARD.encode("app:s3cret\n");
        for header in [
            format!("Basic {encoded}"),
            format!("Basic \"{encoded}\""),
            "Basic app:s3cret".to_owned(),
            encoded,
        ] {
            let headers = [header.as_bytes()];
            let claimed = claimed_client_id(&call("", "client_id=other", &headers));
            assert_eq!(claimed.as_deref(), Some("app"), "{header}");
        }
        assert_eq!(claimed_client_id(&call("client-id=app", "", &[])).as_deref(), Some("app"));
        assert_eq!(claimed_client_id(&call("", "client_id=", &[])), None);
        assert_eq!(claimed_client_id(&call("", "", &[b"Basic \xff"])), None);
    }

    #[test]
    fn every_endpoint_and_outcome_is_read_by_its_name() {
        for endpoint in Endpoint::ALL {
            assert_eq!(Endpoint::parse(endpoint.path()), Some(endpoint));
        }
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.as_str()), Some(outcome));
        }
    }

    proptest! {
        #[test]
        fn s28_whatever_is_sent_no_value_is_long_and_none_of_a_secret_name_is_kept(
            query in "\\PC{0,400}", body in proptest::collection::vec(any::<u8>(), 0..800),
            header in proptest::collection::vec(any::<u8>(), 0..80),
        ) {
            let headers = [header.as_slice()];
            let call = ClientCall {
                query: query.as_bytes(), content_type: None, authorization: &headers, body: &body,
            };
            let sent = SentParameters::of(&call, "app");
            prop_assert!(sent.named.len() <= MAX_PARAMETERS);
            for sent in &sent.named {
                prop_assert!(is_known(&sent.name));
                prop_assert!(sent.value.as_ref().is_none_or(|value| value.len() <= MAX_VALUE_BYTES));
                prop_assert!(kept(&sent.name) != Some(Kept::Name) || sent.value.is_none());
            }
            prop_assert!(claimed_client_id(&call).is_none_or(|id| id.len() <= MAX_ID_BYTES));
        }

        #[test]
        fn s28_a_planted_secret_is_kept_nowhere(
            secret in "[A-Za-z0-9]{12,40}", at in 0_usize..KNOWN.len(),
        ) {
            let (name, _) = KNOWN[at];
            let body = format!("client_secret={secret}&code={secret}&{name}={secret}&{secret}=1");
            let sent = kept_of(&format!("{name}=x{secret}"), &body);
            let written = serde_json::to_string(&sent).unwrap();
            prop_assert!(!written.contains(&secret), "{}", written);
        }
    }
}
