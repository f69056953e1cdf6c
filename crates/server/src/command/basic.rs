//! `grantor basic`: the guide's Base64 step, without sending a secret to a web site.
//!
//! It makes the header for an id and a secret, or explains a header that is handed to it, by the
//! same rules and in the same words as the token endpoint.

use grantor_protocol::client::ClientSecret;
use grantor_protocol::client_authentication::{BasicCredentials, BasicFault};
use grantor_protocol::token_error::basic_words;
use serde::Serialize;

use super::output::{Output, aligned, json, print, say};
use super::{Failure, prompt};

/// Of a secret that is shorter, not even the end is shown.
const MIN_CHARACTERS_TO_HINT: usize = 12;

/// The arguments of `grantor basic`.
#[derive(clap::Args)]
#[command(
    after_help = "With --json: {\"client_id\",\"header\",\"value\"}; with --explain {\"valid\":true,\"client_id\",\"client_secret_length\",\"client_secret_hint\"} or {\"valid\":false,\"words\",\"hint\"}"
)]
pub(super) struct Arguments {
    /// The client's id; the secret comes from a prompt or from standard input. Without it, both
    /// come from there, as id:secret
    #[arg(long, value_name = "ID", conflicts_with = "explain")]
    client_id: Option<String>,
    /// Read a header and say what is wrong with it, or what it holds
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    output: Output,
}

/// A header that was made.
#[derive(Serialize)]
struct Made<'a> {
    client_id: &'a str,
    /// The whole line: name and value.
    header: &'a str,
    /// The value alone.
    value: &'a str,
}

/// A header that was explained.
#[derive(Serialize)]
#[serde(untagged)]
enum Explained<'a> {
    Right {
        valid: bool,
        client_id: &'a str,
        /// In characters.
        client_secret_length: usize,
        /// Its last four characters; `null` where it is too short to show any.
        client_secret_hint: Option<String>,
    },
    Wrong {
        valid: bool,
        /// What is wrong.
        words: &'a str,
        /// How to mend it.
        hint: &'a str,
    },
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if arguments.explain { explain(arguments.output) } else { make(arguments) }
}

fn make(arguments: &Arguments) -> Result<(), Failure> {
    let (client_id, secret) = match &arguments.client_id {
        Some(id) if id.contains(':') => {
            return Err(Failure::mendable("a client id has no colon")
                .hint("the secret does not belong into the arguments, where other processes can read it: pipe it in"));
        }
        Some(id) => {
            let line = prompt::secret("Client secret:")?;
            let secret = line.strip_prefix(&format!("{id}:")).unwrap_or(&line).to_owned();
            (id.clone(), ClientSecret::new(secret))
        }
        None => {
            let line = prompt::secret("client_id:client_secret")?;
            let Some((id, secret)) = line.split_once(':') else {
                return Err(Failure::mendable("there is no colon between the id and the secret")
                    .hint(
                        "write id:secret on one line, or name the id: grantor basic --client-id ID",
                    ));
            };
            (id.to_owned(), ClientSecret::new(secret.to_owned()))
        }
    };
    if client_id.is_empty() || secret.expose().is_empty() {
        return Err(Failure::mendable("the id or the secret is empty"));
    }
    warn(&client_id, &secret);
    let value = BasicCredentials::header(&client_id, &secret);
    let header = format!("Authorization: {value}");
    let made = Made { client_id: &client_id, header: &header, value: &value };
    arguments.output.data(&made, |made| made.header.to_owned())
}

/// What is encoded is what was typed; but what was probably not meant is said.
fn warn(client_id: &str, secret: &ClientSecret) {
    let plain =
        |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~".contains(&b));
    for (what, text) in [("client id", client_id), ("client secret", secret.expose())] {
        if text.trim() != text {
            say(&format!(
                "warning: there are blanks around the {what}; they were encoded with it, and the server will refuse it"
            ));
        } else if text.starts_with(['"', '\'', '`']) || text.ends_with(['"', '\'', '`']) {
            say(&format!(
                "warning: there are quotes around the {what}; they were encoded with it, and the server will refuse it"
            ));
        } else if !plain(text) {
            say(&format!(
                "warning: the {what} holds something else than letters, digits, - and _; none of this server's does"
            ));
        }
    }
}

fn explain(output: Output) -> Result<(), Failure> {
    let text = prompt::text("The Authorization header:")?;
    match BasicCredentials::parse(header_value(&text).as_bytes()) {
        Ok(credentials) => {
            let secret = credentials.client_secret.expose();
            let length = secret.chars().count();
            let hint = (length >= MIN_CHARACTERS_TO_HINT)
                .then(|| ClientSecret::new(secret.to_owned()).hint());
            let shown = match &hint {
                Some(hint) => format!("{length} characters, ending in {hint}"),
                None => format!("{length} characters"),
            };
            let right = Explained::Right {
                valid: true,
                client_id: &credentials.client_id,
                client_secret_length: length,
                client_secret_hint: hint,
            };
            output.data(&right, |_| {
                aligned(&[("client_id", credentials.client_id.clone()), ("client_secret", shown)])
            })?;
            output.say(
                "The header is well formed. Whether the secret is right, only the server knows.",
            );
            Ok(())
        }
        Err(fault) => {
            let (words, hint) = (basic_words(fault), basic_hint(fault));
            if output.json {
                let wrong = Explained::Wrong { valid: false, words, hint };
                print(&json(&wrong)?)?;
            }
            Err(Failure::mendable(words).hint(hint))
        }
    }
}

/// The value of a header that may still have its name in front.
fn header_value(text: &str) -> &str {
    const NAME: &str = "authorization:";
    let text = text.trim_start();
    match text.get(..NAME.len()) {
        Some(name) if name.eq_ignore_ascii_case(NAME) => text[NAME.len()..].trim_start(),
        _ => text,
    }
}

/// How to mend a header.
fn basic_hint(fault: BasicFault) -> &'static str {
    match fault {
        BasicFault::OtherScheme => {
            "write the word Basic and one blank before the Base64; at the token endpoint a client \
             does not use Bearer"
        }
        BasicFault::Empty => {
            "put the Base64 of id:secret behind Basic: grantor basic --client-id ID"
        }
        BasicFault::TooLong => "encode the id and the secret alone, and nothing else",
        BasicFault::Quoted => "leave the quotes out: Authorization: Basic ZGVtbzpkZW1v",
        BasicFault::BlankInside => {
            "write the Base64 in one piece: the program base64 breaks long lines unless it is \
             called with -w0"
        }
        BasicFault::NotEncoded => {
            "encode id:secret first: grantor basic --client-id ID, or printf %s 'id:secret' | base64 -w0"
        }
        BasicFault::OtherAlphabet => {
            "use the standard alphabet, with + and / and with = at the end; not the one for URLs"
        }
        BasicFault::NotBase64 => "copy it again, whole: grantor basic --client-id ID makes it",
        BasicFault::NewlineEncoded => {
            "encode without the line end: echo -n, or printf %s 'id:secret' | base64 -w0"
        }
        BasicFault::StrayAround => {
            "encode the id and the secret alone: leave out the blanks and quotes from the file or \
             the mail they were copied from"
        }
        BasicFault::NotText => {
            "encode the id and the secret as they were shown; something else was encoded, or it \
             was encoded twice"
        }
        BasicFault::NoColon => {
            "encode both together, with one colon between them: id:secret; a different sign, or \
             the secret alone, does not do"
        }
        BasicFault::EmptyPart => "fill in both: a variable of your script is probably empty",
        BasicFault::BadEscape => "write % as %25: both parts are percent-decoded (RFC 6749 2.3.1)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_header_may_stand_in_front_in_any_case() {
        for text in [
            "Basic eA==",
            "Authorization: Basic eA==",
            "authorization:Basic eA==",
            " AUTHORIZATION:  Basic eA==",
        ] {
            assert_eq!(header_value(text), "Basic eA==");
        }
        assert_eq!(header_value("ü"), "ü");
    }
}
