//! The words for a client that did not prove itself.

use super::TokenWire;
use super::grant::seconds;
use crate::client_authentication::{BasicFault, ClientFault};
use crate::environment::Environment;

/// The header as a client has to send it (RFC 7617 2, RFC 6749 2.3.1).
const BASIC_FORM: &str = "Authorization: Basic <Base64 of client_id:client_secret>";

/// RFC 6749 5.2: the client did not prove itself.
pub(super) fn client_wire(fault: ClientFault) -> TokenWire {
    let description = match fault {
        ClientFault::Basic(fault) => {
            format!("{} The right form is {BASIC_FORM}.", basic_words(fault))
        }
        ClientFault::Missing => format!(
            "The client did not say who it is. Send the header {BASIC_FORM}; a client without a \
             secret sends client_id in the body."
        ),
        ClientFault::Unknown { here } => format!(
            "No client with this id is known here, and this is {here}. Clients of {} are not valid \
             here.",
            match here {
                Environment::Portal => "staging and production",
                here => here.other().as_str(),
            }
        ),
        ClientFault::OtherEnvironment { here, belongs_to } => format!(
            "This client belongs to {belongs_to}, and this is {here}. Call the server of \
             {belongs_to}, or use a client of {here}."
        ),
        ClientFault::WrongSecret => "The client secret is wrong. Copy it again without blanks, \
                                     quotes or a line end; if it is lost, make a second one."
            .into(),
        ClientFault::SecretEnded { seconds_ago } => secret_ended(seconds_ago),
        ClientFault::StrayAroundSecret => "The client secret is right but for blanks, quotes or a \
                                           line end around it. Encode it without them."
            .into(),
        ClientFault::SecretMissing => {
            format!("This client has a secret and has to prove it: send the header {BASIC_FORM}.")
        }
        ClientFault::SecretUnexpected => "This client has no secret. Send client_id in the body, \
                                          and no Authorization header."
            .into(),
        ClientFault::SecretInBody => {
            format!(
                "The client secret stands in the body. Send it in the header instead: {BASIC_FORM}."
            )
        }
        ClientFault::SecretInHeader => "This client sends its secret in the body: client_id and \
                                        client_secret, and no Authorization header."
            .into(),
        ClientFault::AssertionMissing => {
            "This client signs: send client_assertion_type and client_assertion in the body, and \
             no secret."
                .into()
        }
        ClientFault::AssertionUnexpected => {
            "This client does not sign: its registration names no keys.".into()
        }
        ClientFault::Assertion(fault) => fault.words().into_owned(),
        ClientFault::AssertionReplayed => {
            "This client assertion was used before. Make a new one for each call.".into()
        }
        ClientFault::KeysUnavailable => {
            "The keys of this client cannot be fetched just now. Look whether its jwks_uri answers."
                .into()
        }
        ClientFault::SecretNeededHere => {
            "This client has no secret, and only a client that proves \
                                          one may ask about tokens here."
                .into()
        }
        ClientFault::Disabled => {
            "This client has been switched off. Write to your partner manager.".into()
        }
    };
    let anchor = client_anchor(fault);
    TokenWire { status: 401, code: "invalid_client", anchor, description }
}

fn secret_ended(seconds_ago: i64) -> String {
    let ago = seconds(seconds_ago);
    format!(
        "This client secret ended {ago} ago. Make another one in the partner portal, and use that."
    )
}

fn client_anchor(fault: ClientFault) -> &'static str {
    match fault {
        ClientFault::Basic(_) | ClientFault::StrayAroundSecret => "basic",
        ClientFault::AssertionMissing
        | ClientFault::AssertionUnexpected
        | ClientFault::Assertion(_)
        | ClientFault::AssertionReplayed
        | ClientFault::KeysUnavailable => "client-assertion",
        ClientFault::Missing
        | ClientFault::SecretMissing
        | ClientFault::SecretInBody
        | ClientFault::SecretInHeader => "client-authentication",
        ClientFault::Unknown { .. } | ClientFault::OtherEnvironment { .. } => "client-environment",
        ClientFault::WrongSecret => "client-secret",
        ClientFault::SecretEnded { .. } => "secret-ended",
        ClientFault::SecretUnexpected => "public-client",
        ClientFault::SecretNeededHere => "secret-needed",
        ClientFault::Disabled => "client-disabled",
    }
}

/// What is wrong with a Basic header, for the token endpoint and for `grantor basic`.
pub fn basic_words(fault: BasicFault) -> &'static str {
    match fault {
        BasicFault::OtherScheme => "The Authorization header does not begin with Basic.",
        BasicFault::Empty => "Nothing stands behind the word Basic.",
        BasicFault::TooLong => "The Authorization header is too long.",
        BasicFault::Quoted => "There are quotes around the Base64.",
        BasicFault::BlankInside => "There is a blank or a line end inside the Base64.",
        BasicFault::NotEncoded => "The id and the secret are not encoded in Base64.",
        BasicFault::OtherAlphabet => {
            "The Base64 is in the URL-safe alphabet, or without its padding; the standard form is \
             needed."
        }
        BasicFault::NotBase64 => "What stands behind Basic is not Base64.",
        BasicFault::NewlineEncoded => {
            "There is a newline at the end of what was encoded: echo adds one; use echo -n or \
             printf %s."
        }
        BasicFault::StrayAround => "There are blanks or quotes around the id or the secret.",
        BasicFault::NotText => "What was encoded holds control characters or is not UTF-8.",
        BasicFault::NoColon => "What was encoded has no colon between the id and the secret.",
        BasicFault::EmptyPart => "What was encoded has nothing before or behind the colon.",
        BasicFault::BadEscape => {
            "The id or the secret is not form-encoded: a % is not followed by two hexadecimal \
             digits, or what it writes is no text."
        }
    }
}
