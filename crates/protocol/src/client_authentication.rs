//! Who is calling `/oauth/token` (RFC 6749 2.3).
//!
//! 1. [`BasicCredentials::parse`] reads the header, strictly, and says what is wrong with it;
//! 2. [`authenticate`] compares it with the client, in constant time;
//! 3. the causes it can give are [`ClientFault`], each with its own words in
//!    [`crate::token_error`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::client::{Client, ClientAuthentication, ClientSecret, SecretDigest};
use crate::client_assertion::ClientAssertionFault;
use crate::environment::Environment;
use crate::parameters;
use crate::parameters::form_encoded;

/// No header value is longer, in bytes.
pub const MAX_HEADER_BYTES: usize = 4096;

/// The two parts of `Authorization: Basic`.
pub struct BasicCredentials {
    /// The `client_id`.
    pub client_id: String,
    /// The secret.
    pub client_secret: ClientSecret,
}

/// Why a header cannot be read as Basic credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BasicFault {
    /// another scheme than Basic
    OtherScheme,
    /// nothing behind the word Basic
    Empty,
    /// longer than [`MAX_HEADER_BYTES`]
    TooLong,
    /// quotes around the Base64
    Quoted,
    /// a blank or line end inside the Base64
    BlankInside,
    /// the id and the secret with their colon, not encoded at all
    NotEncoded,
    /// the URL-safe alphabet, or padding left out
    OtherAlphabet,
    /// not Base64
    NotBase64,
    /// what was encoded ends in a newline: the work of `echo` without `-n`
    NewlineEncoded,
    /// what was encoded has blanks or quotes around one of its parts
    StrayAround,
    /// what was encoded is not UTF-8, or holds control characters
    NotText,
    /// what was encoded has no colon
    NoColon,
    /// nothing before, or nothing behind, the colon
    EmptyPart,
    /// one part has a `%` that two hexadecimal digits do not follow, or that writes what is no
    /// text (RFC 6749 2.3.1)
    BadEscape,
}

/// How a caller presents itself.
pub enum PresentedClient {
    /// By `Authorization: Basic`.
    Basic(BasicCredentials),
    /// By an id and a secret in the body.
    Post(BasicCredentials),
    /// By a signed assertion (RFC 7523 2.2).
    Assertion {
        /// the `client_id`, as the assertion names it
        client_id: String,
        /// the assertion
        assertion: String,
    },
    /// By its id alone.
    Public {
        /// the `client_id`
        client_id: String,
    },
}

/// Why a caller is not the client that it says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientFault {
    /// the header cannot be read
    Basic(BasicFault),
    /// neither a header nor an id
    Missing,
    /// a client of that id is not known in this environment
    Unknown {
        /// this environment
        here: Environment,
    },
    /// the client proved its secret, and belongs elsewhere
    OtherEnvironment {
        /// this environment
        here: Environment,
        /// its own
        belongs_to: Environment,
    },
    /// the secret is wrong
    WrongSecret,
    /// the secret is right, and its time is over
    SecretEnded {
        /// since when
        seconds_ago: i64,
    },
    /// the secret would be right without the quotes or blanks around it
    StrayAroundSecret,
    /// the client has a secret and did not send it
    SecretMissing,
    /// the client has no secret, and sent one
    SecretUnexpected,
    /// the secret stood in the body, where Basic is asked for
    SecretInBody,
    /// the secret stood in the header, where the body is asked for
    SecretInHeader,
    /// the client signs, and sent no assertion
    AssertionMissing,
    /// the client does not sign, and sent an assertion
    AssertionUnexpected,
    /// the assertion does not prove the client
    Assertion(ClientAssertionFault),
    /// the assertion was used before
    AssertionReplayed,
    /// the keys of the client cannot be had just now
    KeysUnavailable,
    /// the client has no secret, at an endpoint that takes a proof and no less (RFC 7662 2.1)
    SecretNeededHere,
    /// the client is disabled
    Disabled,
}

impl BasicCredentials {
    /// Reads the value of an `Authorization` header.
    ///
    /// # Errors
    /// The [`BasicFault`] to tell the caller.
    pub fn parse(header: &[u8]) -> Result<BasicCredentials, BasicFault> {
        if header.len() > MAX_HEADER_BYTES {
            return Err(BasicFault::TooLong);
        }
        let text = std::str::from_utf8(header).map_err(|_| BasicFault::NotBase64)?;
        let (scheme, encoded) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        if !scheme.eq_ignore_ascii_case("Basic") {
            return Err(BasicFault::OtherScheme);
        }
        let decoded = decode_base64(encoded.trim_matches(' '))?;
        let decoded = String::from_utf8(decoded).map_err(|_| BasicFault::NotText)?;
        split(&decoded)
    }

    /// The value of the header for an id and a secret (RFC 6749 2.3.1). Ids and secrets of this
    /// server hold nothing that form-encoding changes.
    pub fn header(client_id: &str, client_secret: &ClientSecret) -> String {
        format!("Basic {}", STANDARD.encode(format!("{client_id}:{}", client_secret.expose())))
    }

    /// The same for whatever they hold, with both form-encoded first.
    pub fn encoded_header(client_id: &str, client_secret: &ClientSecret) -> String {
        let secret = ClientSecret::new(form_encoded(client_secret.expose()));
        BasicCredentials::header(&form_encoded(client_id), &secret)
    }
}

impl PresentedClient {
    /// The id that the caller goes by.
    pub fn client_id(&self) -> &str {
        match self {
            PresentedClient::Basic(basic) | PresentedClient::Post(basic) => &basic.client_id,
            PresentedClient::Assertion { client_id, .. }
            | PresentedClient::Public { client_id } => client_id,
        }
    }
}

/// Decides whether the caller is the client. `here` is this environment; `client` is what the
/// store knows by that id, in whichever environment it stands.
///
/// The digest is computed and compared even where there is nothing to compare it with, so that an
/// unknown id takes as long as a wrong secret.
///
/// Where an assertion is presented, `assertion` is what became of its verification by the keys of
/// the client. Whether it was used before is the caller's to ask, after this.
///
/// # Errors
/// [`ClientFault`]; `OtherEnvironment` only once the secret is proved (U4).
pub fn authenticate(
    here: Environment,
    client: Option<&Client>,
    presented: &PresentedClient,
    assertion: Result<(), ClientFault>,
) -> Result<(), ClientFault> {
    let proof = match presented {
        PresentedClient::Basic(basic) | PresentedClient::Post(basic) => {
            prove(client, &basic.client_secret)
        }
        PresentedClient::Assertion { .. } => Proof::Assertion,
        PresentedClient::Public { .. } => Proof::NoSecretSent,
    };
    let Some(client) = client else {
        return Err(ClientFault::Unknown { here });
    };
    if client.environment != here {
        return Err(match proof {
            Proof::Right => ClientFault::OtherEnvironment { here, belongs_to: client.environment },
            Proof::RightButForStray | Proof::Wrong | Proof::NoSecretSent | Proof::Assertion => {
                ClientFault::Unknown { here }
            }
        });
    }
    check_method(client, presented)?;
    match (&client.authentication, proof) {
        (ClientAuthentication::Secret { .. }, Proof::NoSecretSent) => {
            Err(ClientFault::SecretMissing)
        }
        (ClientAuthentication::Secret { .. }, Proof::Wrong) => Err(ClientFault::WrongSecret),
        (ClientAuthentication::Secret { .. }, Proof::RightButForStray) => {
            Err(ClientFault::StrayAroundSecret)
        }
        (ClientAuthentication::None, Proof::Wrong | Proof::Right | Proof::RightButForStray) => {
            Err(ClientFault::SecretUnexpected)
        }
        (ClientAuthentication::PrivateKeyJwt { .. }, Proof::Assertion) => {
            assertion?;
            if client.disabled { Err(ClientFault::Disabled) } else { Ok(()) }
        }
        (ClientAuthentication::PrivateKeyJwt { .. }, _) => Err(ClientFault::AssertionMissing),
        (_, Proof::Assertion) => Err(ClientFault::AssertionUnexpected),
        (ClientAuthentication::Secret { .. }, Proof::Right)
        | (ClientAuthentication::None, Proof::NoSecretSent) => {
            if client.disabled {
                Err(ClientFault::Disabled)
            } else {
                Ok(())
            }
        }
    }
}

/// Which way a client may take is its own setting; whoever takes another is told which is right
/// (U8). That says nothing of the secret.
fn check_method(client: &Client, presented: &PresentedClient) -> Result<(), ClientFault> {
    let methods = client.settings.secret_methods;
    match (&client.authentication, presented) {
        (ClientAuthentication::Secret { .. }, PresentedClient::Post(_)) if !methods.post() => {
            Err(ClientFault::SecretInBody)
        }
        (ClientAuthentication::Secret { .. }, PresentedClient::Basic(_)) if !methods.basic() => {
            Err(ClientFault::SecretInHeader)
        }
        _ => Ok(()),
    }
}

enum Proof {
    Assertion,
    Right,
    RightButForStray,
    Wrong,
    NoSecretSent,
}

fn prove(client: Option<&Client>, secret: &ClientSecret) -> Proof {
    let held: &[SecretDigest] = match client.map(|client| &client.authentication) {
        Some(ClientAuthentication::Secret { secrets }) => secrets,
        Some(ClientAuthentication::PrivateKeyJwt { .. } | ClientAuthentication::None) | None => &[],
    };
    // Every digest is compared, so that the time does not tell which of two secrets is close.
    let is_held =
        |sent: &SecretDigest| held.iter().fold(false, |found, one| found | one.matches(sent));
    if is_held(&secret.digest()) {
        return Proof::Right;
    }
    match secret.digest_of_trimmed() {
        Some(trimmed) if is_held(&trimmed) => Proof::RightButForStray,
        _ => Proof::Wrong,
    }
}

fn decode_base64(encoded: &str) -> Result<Vec<u8>, BasicFault> {
    if encoded.is_empty() {
        return Err(BasicFault::Empty);
    }
    if encoded.contains(|c: char| c.is_whitespace()) {
        return Err(BasicFault::BlankInside);
    }
    if encoded.starts_with(['"', '\'']) || encoded.ends_with(['"', '\'']) {
        return Err(BasicFault::Quoted);
    }
    if encoded.contains(':') {
        return Err(BasicFault::NotEncoded);
    }
    STANDARD.decode(encoded).map_err(|_| {
        let standard = encoded.replace('-', "+").replace('_', "/");
        let padded = format!("{standard}{}", "=".repeat(standard.len().wrapping_neg() % 4));
        match STANDARD.decode(padded) {
            Ok(_) => BasicFault::OtherAlphabet,
            Err(_) => BasicFault::NotBase64,
        }
    })
}

fn split(decoded: &str) -> Result<BasicCredentials, BasicFault> {
    if decoded.ends_with(['\n', '\r']) {
        return Err(BasicFault::NewlineEncoded);
    }
    if decoded.chars().any(char::is_control) {
        return Err(BasicFault::NotText);
    }
    // RFC 7617 2: the first colon parts them; an id has none.
    let (id, secret) = decoded.split_once(':').ok_or(BasicFault::NoColon)?;
    if id.is_empty() || secret.is_empty() {
        return Err(BasicFault::EmptyPart);
    }
    let stray = |part: &str| {
        part.trim() != part || part.starts_with(['"', '\'']) || part.ends_with(['"', '\''])
    };
    if stray(id) || stray(secret) {
        return Err(BasicFault::StrayAround);
    }
    // RFC 6749 2.3.1: each part is form-encoded before it is joined; some libraries write even '-'
    // that way.
    let decode = |part: &str| match parameters::decode(part.as_bytes()) {
        None => Err(BasicFault::BadEscape),
        Some(text) if text.chars().any(char::is_control) => Err(BasicFault::NotText),
        Some(text) => Ok(text),
    };
    Ok(BasicCredentials {
        client_id: decode(id)?,
        client_secret: ClientSecret::new(decode(secret)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::fixtures::{SECRET, client, public_client};
    use proptest::prelude::*;

    fn fault(header: &str) -> BasicFault {
        match BasicCredentials::parse(header.as_bytes()) {
            Err(fault) => fault,
            Ok(_) => panic!("{header} was taken"),
        }
    }

    fn basic(text: &str) -> String {
        format!("Basic {}", STANDARD.encode(text))
    }

    #[test]
    fn s14_both_parts_are_form_decoded_and_the_first_colon_parts_them() {
        for (text, id, secret) in [
            ("my-client:se-cret", "my-client", "se-cret"),
            ("my%2Dclient:se%2Dcret", "my-client", "se-cret"),
            ("id:a:b", "id", "a:b"),
            ("id:a%3Ab+c", "id", "a:b c"),
        ] {
            for scheme in ["Basic", "basic", "BASIC"] {
                let header = basic(text).replace("Basic", scheme);
                let read = BasicCredentials::parse(header.as_bytes())
                    .unwrap_or_else(|fault| panic!("{fault:?}"));
                assert_eq!((read.client_id.as_str(), read.client_secret.expose()), (id, secret));
            }
        }
    }

    #[test]
    fn u8_s14_each_way_to_write_it_wrong_has_its_own_name() {
        for (header, expected) in [
            ("Bearer abc".to_owned(), BasicFault::OtherScheme),
            ("Basic".to_owned(), BasicFault::Empty),
            ("Basic ".to_owned(), BasicFault::Empty),
            ("Basic \"aWQ6c2VjcmV0\"".to_owned(), BasicFault::Quoted),
            ("Basic aWQ6 c2VjcmV0".to_owned(), BasicFault::BlankInside),
            ("Basic id:secret".to_owned(), BasicFault::NotEncoded),
            ("Basic aWQ6c2VjcmV0cw".to_owned(), BasicFault::OtherAlphabet),
            ("Basic aWQ6_-__".to_owned(), BasicFault::OtherAlphabet),
            ("Basic !!!!".to_owned(), BasicFault::NotBase64),
            ("Basic aWQ6c2VjcmV0cx==".to_owned(), BasicFault::NotBase64),
            (basic("id:secret\n"), BasicFault::NewlineEncoded),
            (basic("id: secret"), BasicFault::StrayAround),
            (basic("id:\"secret\""), BasicFault::StrayAround),
            (basic("id:se\0cret"), BasicFault::NotText),
            (basic("idsecret"), BasicFault::NoColon),
            (basic(":secret"), BasicFault::EmptyPart),
            (basic("id:"), BasicFault::EmptyPart),
            (basic("id:se%cret"), BasicFault::BadEscape),
            (basic("id%00:secret"), BasicFault::BadEscape),
            (basic("id:secret%0A"), BasicFault::NotText),
            (format!("Basic {}", "A".repeat(5000)), BasicFault::TooLong),
        ] {
            assert_eq!(fault(&header), expected, "{header}");
        }
        assert_eq!(BasicCredentials::parse(b"Basic \xff\xfe").err(), Some(BasicFault::NotBase64));
    }

    fn sends(secret: &str) -> PresentedClient {
        PresentedClient::Basic(BasicCredentials {
            client_id: "devp-staging-mycompany".into(),
            client_secret: ClientSecret::new(secret.into()),
        })
    }

    fn sends_no_secret() -> PresentedClient {
        PresentedClient::Public { client_id: "devp-staging-mycompany".into() }
    }

    #[test]
    fn u4_the_environment_of_a_client_is_named_only_to_who_proved_its_secret() {
        let here = Environment::Production;
        let unknown = Err(ClientFault::Unknown { here });
        let named = Err(ClientFault::OtherEnvironment { here, belongs_to: Environment::Staging });
        let (disabled, stray) = (Client { disabled: true, ..client() }, format!("'{SECRET}'"));
        for (client, presented, expected) in [
            (Some(client()), sends(SECRET), named),
            (Some(disabled), sends(SECRET), named),
            (Some(client()), sends("wrong"), unknown),
            (Some(client()), sends(&stray), unknown),
            (Some(client()), sends_no_secret(), unknown),
            (Some(public_client()), sends_no_secret(), unknown),
            (Some(public_client()), sends(SECRET), unknown),
            (None, sends(SECRET), unknown),
            (None, sends_no_secret(), unknown),
        ] {
            assert_eq!(authenticate(here, client.as_ref(), &presented, Ok(())), expected);
        }
    }

    #[test]
    fn s14_each_way_to_fail_the_proof_has_its_own_name_and_disabled_comes_last() {
        let here = Environment::Staging;
        let (confidential, public) = (client(), public_client());
        let off = Client { disabled: true, ..client() };
        let public_off = Client { disabled: true, ..public_client() };
        let stray = Err(ClientFault::StrayAroundSecret);
        for (client, presented, expected) in [
            (&confidential, sends(SECRET), Ok(())),
            (&confidential, sends("wrong"), Err(ClientFault::WrongSecret)),
            (&confidential, sends(&SECRET[1..]), Err(ClientFault::WrongSecret)),
            (&confidential, sends(&format!("\"{SECRET}\"")), stray),
            (&confidential, sends(&format!(" {SECRET}\n")), stray),
            (&confidential, sends_no_secret(), Err(ClientFault::SecretMissing)),
            (&public, sends_no_secret(), Ok(())),
            (&public, sends(SECRET), Err(ClientFault::SecretUnexpected)),
            (&off, sends(SECRET), Err(ClientFault::Disabled)),
            (&off, sends("wrong"), Err(ClientFault::WrongSecret)),
            (&off, sends_no_secret(), Err(ClientFault::SecretMissing)),
            (&public_off, sends_no_secret(), Err(ClientFault::Disabled)),
        ] {
            assert_eq!(authenticate(here, Some(client), &presented, Ok(())), expected);
        }
    }

    #[test]
    fn u5_either_of_two_secrets_proves_the_client_and_none_is_proved_by_none() {
        let held = |secrets: &[&str]| Client {
            authentication: ClientAuthentication::Secret {
                secrets: secrets
                    .iter()
                    .map(|held| ClientSecret::new((*held).into()).digest())
                    .collect(),
            },
            ..client()
        };
        let check = |client: &Client, secret| {
            authenticate(Environment::Staging, Some(client), &sends(secret), Ok(()))
        };
        let two = held(&["old", "new"]);
        assert_eq!((check(&two, "old"), check(&two, "new")), (Ok(()), Ok(())));
        assert_eq!(check(&two, "oldnew"), Err(ClientFault::WrongSecret));
        assert_eq!(check(&held(&[]), "old"), Err(ClientFault::WrongSecret));
    }

    proptest! {
        #[test]
        fn any_header_is_read_without_a_panic(header in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = BasicCredentials::parse(&header);
        }

        #[test]
        fn any_encoded_text_is_read_without_a_panic(text in "\\PC{0,200}") {
            let _ = BasicCredentials::parse(basic(&text).as_bytes());
        }

        #[test]
        fn what_header_writes_parse_reads(id in "[A-Za-z0-9_-]{1,60}", secret in "[A-Za-z0-9_-]{1,60}") {
            let header = BasicCredentials::header(&id, &ClientSecret::new(secret.clone()));
            let read = BasicCredentials::parse(header.as_bytes()).unwrap_or_else(|fault| panic!("{fault:?}"));
            prop_assert_eq!(read.client_id, id);
            prop_assert_eq!(read.client_secret.expose(), secret);
        }
    }
}
