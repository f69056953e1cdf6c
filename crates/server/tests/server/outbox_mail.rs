//! Mail: real SMTP conversations with a server that this file speaks itself, byte for byte.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use grantor::keys::Keys;
use grantor::mail::{
    Mail, MailAddress, MailConfig, MailFault, MailTls, Mailer, Sender, Smtp, Subject,
};
use grantor::outbound::{Outbound, Reach};
use grantor::outbox::{Delivering, Outbox};
use grantor::random::Random;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufStream};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::calls::{database_bytes, holds};
use crate::harness::{START, Server};

/// What an SMTP server was told.
#[derive(Clone, Debug, Default)]
struct Conversation {
    commands: Vec<String>,
    /// Between DATA and the dot, with the dots of the transport taken off.
    message: String,
    encrypted: bool,
}

/// A mail server of a company.
struct Postbox {
    port: u16,
    told: Arc<Mutex<Vec<Conversation>>>,
    /// What it says to RCPT.
    reply: Arc<Mutex<&'static str>>,
    folder: tempfile::TempDir,
}

impl Postbox {
    /// One that offers STARTTLS where it has a certificate.
    async fn start(with_tls: bool) -> Postbox {
        let folder = tempfile::tempdir().unwrap();
        let acceptor = with_tls.then(|| {
            let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
            std::fs::write(folder.path().join("ca.pem"), certified.cert.pem()).unwrap();
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let key =
                rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der());
            let config = rustls::ServerConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![certified.cert.der().clone()], key.unwrap())
                .unwrap();
            TlsAcceptor::from(Arc::new(config))
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (told, reply) = (Arc::default(), Arc::new(Mutex::new("250 Ok")));
        let postbox = Postbox { port, told, reply, folder };
        let (told, reply) = (Arc::clone(&postbox.told), Arc::clone(&postbox.reply));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (told, reply, acceptor) =
                    (Arc::clone(&told), Arc::clone(&reply), acceptor.clone());
                tokio::spawn(async move {
                    let mut conversation = Conversation::default();
                    let mut stream = BufStream::new(stream);
                    say(&mut stream, "220 postbox ready").await;
                    let offers = if acceptor.is_some() { "STARTTLS" } else { "AUTH PLAIN" };
                    let upgrades = speak(&mut stream, offers, &reply, &mut conversation).await;
                    if let (true, Some(acceptor)) = (upgrades, acceptor) {
                        let Ok(stream) = acceptor.accept(stream.into_inner()).await else {
                            return;
                        };
                        conversation.encrypted = true;
                        let mut stream = BufStream::new(stream);
                        speak(&mut stream, "AUTH PLAIN", &reply, &mut conversation).await;
                    }
                    told.lock().unwrap().push(conversation);
                });
            }
        });
        postbox
    }

    fn replies(&self, reply: &'static str) {
        *self.reply.lock().unwrap() = reply;
    }

    /// What it was told, once that many conversations have ended.
    async fn told(&self, conversations: usize) -> Vec<Conversation> {
        loop {
            let told = self.told.lock().unwrap().clone();
            if told.len() >= conversations {
                return told;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }

    fn config(&self, tls: MailTls) -> MailConfig {
        let password_file = self.folder.path().join("password");
        std::fs::write(&password_file, "smtp-password-X9\n").unwrap();
        let ca_file = Some(self.folder.path().join("ca.pem"));
        MailConfig {
            host: "localhost".to_owned(),
            port: self.port,
            tls,
            ca_file: ca_file.filter(|file| file.exists()),
            user: Some("grantor".to_owned()),
            password_file: Some(password_file),
            from: Sender::parse("Example Partners <partners@example.com>").unwrap(),
        }
    }
}

async fn say(stream: &mut (impl AsyncWrite + Unpin), words: &str) {
    stream.write_all(format!("{words}\r\n").as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

/// Speaks until the other side leaves, or wants TLS.
async fn speak<S: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut BufStream<S>,
    offers: &str,
    reply: &Mutex<&'static str>,
    conversation: &mut Conversation,
) -> bool {
    let mut line = String::new();
    while {
        line.clear();
        stream.read_line(&mut line).await.unwrap_or(0) > 0
    } {
        let command = line.trim_end().to_owned();
        conversation.commands.push(command.clone());
        match command.split(' ').next().unwrap() {
            "EHLO" => say(stream, &format!("250-postbox\r\n250 {offers}")).await,
            "STARTTLS" => {
                say(stream, "220 Go ahead").await;
                return true;
            }
            "AUTH" => say(stream, "235 Welcome").await,
            "RCPT" => {
                let words = *reply.lock().unwrap();
                say(stream, words).await;
            }
            "DATA" => {
                say(stream, "354 Go ahead").await;
                loop {
                    line.clear();
                    stream.read_line(&mut line).await.unwrap();
                    if line == ".\r\n" {
                        break;
                    }
                    conversation.message.push_str(line.strip_prefix('.').unwrap_or(&line));
                }
                say(stream, "250 Taken").await;
            }
            "QUIT" => {
                say(stream, "221 Bye").await;
                return false;
            }
            _ => say(stream, "250 Ok").await,
        }
    }
    false
}

fn mail(to: &str, subject: &str, text: &str) -> Mail {
    Mail {
        id: [0x42; 16],
        to: MailAddress::parse(to).unwrap(),
        subject: Subject::parse(subject).unwrap(),
        text: text.to_owned(),
        at: START,
    }
}

fn outbox(server: &Server, mailer: Option<Mailer>) -> Outbox {
    let keys: Keys = server.staging.keys.clone();
    Outbox::new(Delivering {
        store: server.staging.store.clone(),
        keys,
        outbound: Outbound::new(Reach::ThisMachine, server.clock.clone()),
        mailer,
        clock: server.clock.clone(),
        random: Random::system(),
    })
}

async fn deliver(outbox: &mut Outbox) -> usize {
    let taken = outbox.take().await.unwrap();
    outbox.settle().await;
    taken
}

async fn mail_leaves_by_smtp_once_and_is_forgotten(server: Server) {
    let postbox = Postbox::start(false).await;
    let mut outbox =
        outbox(&server, Some(Mailer::Smtp(Smtp::new(&postbox.config(MailTls::None)).unwrap())));
    let secret = "https://portal.example.com/reset/Canary-of-a-link-X9";
    let mail = mail("robin@partner.example", "Your request was approved", secret);
    server.staging.store.post_mail(&mail).await.unwrap();
    server.staging.store.post_mail(&mail).await.unwrap();
    assert_eq!(server.count("outbox"), 1, "twice is once");
    assert_eq!(deliver(&mut outbox).await, 1);
    assert_eq!(deliver(&mut outbox).await, 0);
    let told = postbox.told(1).await;
    assert_eq!(told.len(), 1);
    assert!(told[0].message.contains("Canary-of-a-link-X9"));
    assert_eq!(server.number("SELECT length(body) FROM outbox"), 0);
    assert_eq!(server.number("SELECT delivered_at FROM outbox"), START);
    let metrics = &server.staging.store.metrics().outbox;
    assert_eq!((metrics.mail.delivered.read(), metrics.mail.failed.read()), (1, 0));
}

async fn a_mail_server_that_takes_nothing_now_is_asked_again_and_one_that_never_will_is_not(
    server: Server,
) {
    let postbox = Postbox::start(false).await;
    let smtp = Smtp::new(&postbox.config(MailTls::None)).unwrap();
    let mut outbox = outbox(&server, Some(Mailer::Smtp(smtp)));
    let store = &server.staging.store;
    postbox.replies("451 Try later");
    store.post_mail(&mail("robin@partner.example", "Hello", "Text")).await.unwrap();
    assert_eq!(deliver(&mut outbox).await, 1);
    assert_eq!(server.number("SELECT status FROM outbox"), 451);
    assert!((START + 5..=START + 6).contains(&server.number("SELECT next_try_at FROM outbox")));
    assert_eq!(server.number("SELECT length(body) FROM outbox"), 4, "it is needed again");
    server.clock.advance(6);
    postbox.replies("550 Nobody of that name");
    assert_eq!(deliver(&mut outbox).await, 1);
    assert_eq!(server.number("SELECT status FROM outbox"), 550);
    assert_eq!(server.number("SELECT COUNT(*) FROM outbox WHERE next_try_at IS NULL"), 1);
    assert_eq!(server.number("SELECT gave_up_at FROM outbox"), START + 6);
    assert_eq!(server.number("SELECT length(body) FROM outbox"), 0);
    let metrics = &store.metrics().outbox.mail;
    assert_eq!((metrics.failed.read(), metrics.gave_up.read()), (2, 1));
}

async fn mail_waits_where_nobody_carries_it_and_in_dev_it_stays_to_be_read(server: Server) {
    let store = &server.staging.store;
    let one = mail("robin@partner.example", "One", "The first");
    let two = Mail { id: [0x43; 16], ..mail("casey@partner.example", "Two", "The second") };
    for mail in [&one, &two] {
        store.post_mail(mail).await.unwrap();
    }
    assert_eq!(deliver(&mut outbox(&server, None)).await, 0);
    assert_eq!(store.waiting_messages().await.unwrap(), 2);
    assert_eq!(deliver(&mut outbox(&server, Some(Mailer::Mailbox))).await, 2);
    assert_eq!(store.waiting_messages().await.unwrap(), 0);
    assert!(store.newest_mails(None, 10).await.unwrap() == [two.clone(), one.clone()]);
    assert!(store.newest_mails(Some(two.id), 10).await.unwrap() == [one.clone()]);
    assert!(store.newest_mails(None, 1).await.unwrap() == [two]);
    assert!(store.mails_to(&one.to, 10).await.unwrap() == [one]);
}

on_both_engines! {
    mail_leaves_by_smtp_once_and_is_forgotten,
    a_mail_server_that_takes_nothing_now_is_asked_again_and_one_that_never_will_is_not,
    mail_waits_where_nobody_carries_it_and_in_dev_it_stays_to_be_read,
}

#[tokio::test]
async fn a_message_is_plain_text_with_the_headers_that_it_needs_and_no_others() {
    let postbox = Postbox::start(false).await;
    let smtp = Smtp::new(&postbox.config(MailTls::None)).unwrap();
    let text = "Hello,\n.a line that begins with a dot\n.\nMAIL FROM:<evil@example.com>\nÜmlaut\r\nbare\rreturn";
    smtp.send(&mail("robin@partner.example", "Grüße, <b>Robin</b>", text)).await.unwrap();
    let told = postbox.told(1).await.remove(0);
    let (head, body) = told.message.split_once("\r\n\r\n").unwrap();
    let headers: Vec<&str> = head
        .split("\r\n")
        .filter(|line| !line.starts_with(' '))
        .map(|line| line.split(':').next().unwrap())
        .collect();
    for wanted in [
        "From",
        "To",
        "Subject",
        "Message-ID",
        "Date",
        "Auto-Submitted",
        "Content-Type",
        "Content-Transfer-Encoding",
        "MIME-Version",
    ] {
        let found = headers.iter().filter(|name| name.eq_ignore_ascii_case(wanted)).count();
        assert!(found == 1 || wanted == "MIME-Version", "{wanted}: {head}");
    }
    assert!(head.contains("<42424242424242424242424242424242@example.com>"), "{head}");
    assert!(head.contains("text/plain; charset=utf-8"), "{head}");
    // Nothing in the text ended the message, or was taken for a command.
    let commands: Vec<&str> =
        told.commands.iter().map(|command| command.split(' ').next().unwrap()).collect();
    assert_eq!(commands, ["EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"][..commands.len()]);
    assert!(body.contains("MAIL FROM:<evil@example.com>"), "{body}");
    let auth = base64::engine::general_purpose::STANDARD.encode("\0grantor\0smtp-password-X9");
    assert_eq!(told.commands[1], format!("AUTH PLAIN {auth}"));
}

#[tokio::test]
async fn starttls_is_demanded_and_the_certificate_is_held_against_its_authority() {
    let postbox = Postbox::start(true).await;
    let message = mail("robin@partner.example", "Hello", "Text");
    let config = postbox.config(MailTls::StartTls);
    Smtp::new(&config).unwrap().send(&message).await.unwrap();
    let told = postbox.told(1).await.remove(0);
    assert!(told.encrypted);
    let at = |name: &str| told.commands.iter().position(|each| each.starts_with(name)).unwrap();
    assert!(at("STARTTLS") < at("AUTH"), "no password goes in clear: {:?}", told.commands);
    // The system knows nothing of that authority.
    let of_system = MailConfig { ca_file: None, ..config };
    let refused = Smtp::new(&of_system).unwrap().send(&message).await.unwrap_err();
    assert!(matches!(refused, MailFault::Tls | MailFault::Unreachable), "{refused:?}");
    // A server without TLS gets nothing.
    let plain = Postbox::start(false).await;
    let config = plain.config(MailTls::StartTls);
    Smtp::new(&config).unwrap().send(&message).await.unwrap_err();
    let told = plain.told(1).await.remove(0);
    assert!(!told.commands.iter().any(|each| each.starts_with("AUTH") || each.starts_with("MAIL")));
}

#[test]
fn no_address_and_no_subject_can_hold_a_header_of_its_own() {
    for wrong in [
        "",
        "nobody",
        "a@b.example\r\nBcc: c@d.example",
        "a@b.example\nBcc: c@d.example",
        "a@b.example, c@d.example",
        "<a@b.example>",
        "A <a@b.example>",
        "\"a b\"@b.example",
        "a@b.example\0",
        "a b@c.example",
    ] {
        assert!(MailAddress::parse(wrong).is_none(), "{wrong:?}");
    }
    assert!(MailAddress::parse(&format!("{}@b.example", "a".repeat(300))).is_none());
    assert_eq!(
        MailAddress::parse("robin@partner.example").unwrap().as_str(),
        "robin@partner.example"
    );
    for wrong in ["", " ", "a\r\nBcc: c@d.example", "a\nb", "a\u{2028}b", "a\u{85}b", "a\0"] {
        assert!(Subject::parse(wrong).is_none(), "{wrong:?}");
    }
    assert!(Subject::parse(&"a".repeat(201)).is_none());
    assert_eq!(Subject::parse(" Grüße ").unwrap().as_str(), "Grüße");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s28_the_smtp_password_is_in_no_database() {
    let server = Server::start().await;
    let postbox = Postbox::start(false).await;
    let smtp = Smtp::new(&postbox.config(MailTls::None)).unwrap();
    server.staging.store.post_mail(&mail("a@b.example", "Hello", "Text")).await.unwrap();
    deliver(&mut outbox(&server, Some(Mailer::Smtp(smtp)))).await;
    assert!(!holds(&database_bytes(server.folder.path()), b"smtp-password-X9"));
}
