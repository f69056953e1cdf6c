//! Mail: what people are written, and how it leaves.
//!
//! 1. [`MailAddress`] and [`Subject`] are text that cannot end a header line, so nobody writes
//!    headers of their own into a message;
//! 2. a [`Mail`] is put into the outbox in the transaction of what it is about
//!    (`store/outbox.rs`);
//! 3. `crate::outbox` gives it to a [`Mailer`]: an SMTP server, or in dev the mailbox page.
//!
//! A message is plain text. Its `Message-ID` is that of its row, the same each time that it is tried
//! again.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::clock::Clock;
use crate::random::Random;
use crate::unseen::is_unseen;

/// No address is longer, in bytes (RFC 5321 4.5.3.1.3, less the angle brackets).
const MAX_ADDRESS_BYTES: usize = 254;
/// No subject is longer, in characters.
const MAX_SUBJECT_CHARS: usize = 200;
/// How long each step of a delivery may take.
const STEP_LIMIT: Duration = Duration::from_secs(10);
/// How long a delivery may take, all of it.
const TIME_LIMIT: Duration = Duration::from_secs(30);

/// An address that mail can be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailAddress(Address);

/// What a message is about, on one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject(String);

/// A message to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Its id, time-ordered.
    pub id: [u8; 16],
    /// To whom.
    pub to: MailAddress,
    /// What it is about.
    pub subject: Subject,
    /// Plain text.
    pub text: String,
    /// When it was written, in Unix seconds.
    pub at: i64,
}

/// What gives messages on. Cloned freely.
#[derive(Clone)]
pub enum Mailer {
    /// To an SMTP server. What was delivered is forgotten here.
    Smtp(Smtp),
    /// To the mailbox page of dev: they stay in the outbox, and are read there.
    Mailbox,
}

/// An SMTP server, and from whom messages are.
#[derive(Clone)]
pub struct Smtp(Arc<Server>);

struct Server {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

/// How mail leaves, as the configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailConfig {
    /// The SMTP server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is kept from others.
    pub tls: MailTls,
    /// The certificates that its own is held against; `None` for those of the system.
    pub ca_file: Option<PathBuf>,
    /// Who signs in, where the server wants that.
    pub user: Option<String>,
    /// The file of the password.
    pub password_file: Option<PathBuf>,
    /// From whom messages are.
    pub from: Sender,
}

/// From whom messages are: an address, perhaps with a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender(Mailbox);

/// How the connection to the SMTP server is kept from others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MailTls {
    /// It begins in clear and must change to TLS (RFC 3207).
    #[default]
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Tls,
    /// Not at all: only to this machine.
    None,
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailFault {
    /// it cannot be written as a message
    Message,
    /// the server cannot be reached, or broke off
    Unreachable,
    /// its certificate proves nothing, or it has no TLS
    Tls,
    /// it took too long
    TooSlow,
    /// it did not take it now
    Later {
        /// the reply (RFC 5321 4.2)
        reply: u16,
    },
    /// it will never take it
    Never {
        /// the reply
        reply: u16,
    },
}

/// Why there is no mailer.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    /// A file of the settings cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// which
        path: PathBuf,
        /// what the system said
        source: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error("the certificates for {host} cannot be used: {why}")]
    Tls {
        /// the SMTP server
        host: String,
        /// what is wrong
        why: String,
    },
}

impl MailAddress {
    /// Reads an address; `None` where it is none.
    pub fn parse(text: &str) -> Option<MailAddress> {
        // Also what a reader does not see: a line's end that is none in ASCII, another direction.
        let unseen = |each: char| each.is_whitespace() || is_unseen(each);
        let plain = text.len() <= MAX_ADDRESS_BYTES && !text.chars().any(unseen);
        let address = plain.then(|| Address::from_str(text).ok()).flatten()?;
        // A quoted local part may hold anything; nobody has one, and no reader agrees on it.
        (!address.user().contains(['"', '\\', ' '])).then_some(MailAddress(address))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        self.0.as_ref()
    }
}

impl Subject {
    /// Reads a subject; `None` where it is empty, too long, or more than a line.
    pub fn parse(text: &str) -> Option<Subject> {
        let text = text.trim();
        let is_line = !text.is_empty()
            && text.chars().count() <= MAX_SUBJECT_CHARS
            && !text
                .chars()
                .any(|each| each.is_control() || matches!(each, '\u{2028}' | '\u{2029}'));
        is_line.then(|| Subject(text.to_owned()))
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Mail {
    /// A message, written now; `None` for a subject that is none.
    pub fn new(
        (clock, random): (&Clock, &Random),
        to: MailAddress,
        subject: &str,
        text: String,
    ) -> Option<Mail> {
        let subject = Subject::parse(subject)?;
        Some(Mail { id: random.id(clock), to, subject, text, at: clock.now() })
    }
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The text may hold a link that signs in.
        f.debug_struct("Mail").field("to", &self.to).finish_non_exhaustive()
    }
}

impl Sender {
    /// Reads `Name <address>` or an address alone.
    pub fn parse(text: &str) -> Option<Sender> {
        let plain = !text.chars().any(char::is_control);
        let mailbox = plain.then(|| text.parse::<Mailbox>().ok()).flatten()?;
        MailAddress::parse(mailbox.email.as_ref())?;
        Some(Sender(mailbox))
    }
}

impl MailTls {
    /// All of them.
    pub const ALL: [MailTls; 3] = [MailTls::StartTls, MailTls::Tls, MailTls::None];

    /// As the configuration names it.
    pub fn as_str(self) -> &'static str {
        match self {
            MailTls::StartTls => "starttls",
            MailTls::Tls => "tls",
            MailTls::None => "none",
        }
    }

    /// The port that is usual for it.
    pub fn usual_port(self) -> u16 {
        match self {
            MailTls::StartTls => 587,
            MailTls::Tls => 465,
            MailTls::None => 25,
        }
    }
}

impl MailFault {
    /// What is wrong, for whoever runs this server.
    pub fn words(self) -> &'static str {
        match self {
            MailFault::Message => "It cannot be written as a message.",
            MailFault::Unreachable => "The mail server cannot be reached, or broke off.",
            MailFault::Tls => "The mail server's TLS cannot be trusted, or it has none.",
            MailFault::TooSlow => "The mail server took too long.",
            MailFault::Later { .. } => "The mail server did not take it now.",
            MailFault::Never { .. } => "The mail server will not take it.",
        }
    }

    /// What the server replied, where it did.
    pub fn reply(self) -> Option<u16> {
        match self {
            MailFault::Later { reply } | MailFault::Never { reply } => Some(reply),
            MailFault::Message | MailFault::Unreachable | MailFault::Tls | MailFault::TooSlow => {
                None
            }
        }
    }

    /// Whether to try again is of no use.
    pub fn is_final(self) -> bool {
        match self {
            MailFault::Message | MailFault::Never { .. } => true,
            MailFault::Unreachable
            | MailFault::Tls
            | MailFault::TooSlow
            | MailFault::Later { .. } => false,
        }
    }
}

impl Smtp {
    /// The server that the configuration names. It is not asked yet.
    ///
    /// # Errors
    /// [`MailerError`]
    pub fn new(config: &MailConfig) -> Result<Smtp, MailerError> {
        let tls = match config.tls {
            MailTls::StartTls => Tls::Required(tls(config)?),
            MailTls::Tls => Tls::Wrapper(tls(config)?),
            MailTls::None => Tls::None,
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
            .port(config.port)
            .timeout(Some(STEP_LIMIT))
            .tls(tls);
        if let (Some(user), Some(path)) = (&config.user, &config.password_file) {
            let text = Zeroizing::new(read(path)?);
            let password = text.trim_end_matches(['\r', '\n']).to_owned();
            transport = transport.credentials(Credentials::new(user.clone(), password));
        }
        Ok(Smtp(Arc::new(Server { transport: transport.build(), from: config.from.0.clone() })))
    }

    /// Gives a message on.
    ///
    /// # Errors
    /// [`MailFault`]; then perhaps it was taken all the same, and comes twice.
    pub async fn send(&self, mail: &Mail) -> Result<(), MailFault> {
        let message = write(mail, &self.0.from).ok_or(MailFault::Message)?;
        let sent = tokio::time::timeout(TIME_LIMIT, self.0.transport.send(message)).await;
        match sent {
            Err(_) => Err(MailFault::TooSlow),
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                // The error quotes what the server said, and that may quote the message.
                Err(match error.status().map(u16::from) {
                    Some(reply) if error.is_permanent() => MailFault::Never { reply },
                    Some(reply) => MailFault::Later { reply },
                    None if error.is_timeout() => MailFault::TooSlow,
                    None if error.is_tls() || error.is_client() => MailFault::Tls,
                    None => MailFault::Unreachable,
                })
            }
        }
    }
}

fn read(path: &PathBuf) -> Result<String, MailerError> {
    std::fs::read_to_string(path).map_err(|source| MailerError::Read { path: path.clone(), source })
}

fn tls(config: &MailConfig) -> Result<TlsParameters, MailerError> {
    let fault = |why: lettre::transport::smtp::Error| MailerError::Tls {
        host: config.host.clone(),
        why: why.to_string(),
    };
    let mut parameters = TlsParameters::builder(config.host.clone());
    if let Some(path) = &config.ca_file {
        parameters = parameters.certificate_store(CertificateStore::None);
        let certificates = Certificate::from_pem(read(path)?.as_bytes()).map_err(fault)?;
        parameters = parameters.add_root_certificate(certificates);
    }
    parameters.build_rustls().map_err(fault)
}

/// A message as it goes over the wire.
fn write(mail: &Mail, from: &Mailbox) -> Option<Message> {
    let id = format!("<{}@{}>", Uuid::from_bytes(mail.id).simple(), from.email.domain());
    let at = UNIX_EPOCH + Duration::from_secs(u64::try_from(mail.at).ok()?);
    // RFC 3834 5: no vacation answers this.
    let automatic = HeaderName::new_from_ascii_str("Auto-Submitted");
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, mail.to.0.clone()))
        .subject(mail.subject.as_str())
        .message_id(Some(id))
        .date(at)
        .raw_header(HeaderValue::new(automatic, "auto-generated".to_owned()))
        .header(ContentType::TEXT_PLAIN)
        .body(mail.text.replace("\r\n", "\n").replace(['\r', '\n'], "\r\n"))
        .ok()
}
