//! How mail leaves: `[mail]`.

use toml::Spanned;
use url::Host;

use super::Check;
use crate::config::file::MailSection;
use crate::mail::{MailConfig, MailTls, Sender};

impl Check<'_> {
    pub(super) fn mail(&mut self, section: &MailSection) -> Option<MailConfig> {
        let host = self.mail_host(&section.host);
        let tls = self.mail_tls(section);
        let port = self.mail_port(section, tls.unwrap_or_default());
        let from = self.mail_from(&section.from);
        let ca_file = self.mail_file(section.ca_file.as_ref());
        let password_file = self.mail_file(section.password_file.as_ref());
        match (&section.user, &section.password_file) {
            (Some(user), None) => {
                self.fault(user.span(), "there is a user and no password", "add password_file");
            }
            (None, Some(file)) => {
                self.fault(file.span(), "there is a password and no user", "add user");
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
        let (host, tls) = (host?, tls?);
        if tls == MailTls::None && !is_this_machine(&host) {
            let at = section.tls.as_ref().map_or_else(|| section.host.span(), Spanned::span);
            let words = "without TLS everybody on the way reads the mail, and the password";
            self.fault(at, words, "\"starttls\" or \"tls\"; \"none\" only to this machine");
            return None;
        }
        let user = section.user.as_ref().map(|user| user.get_ref().clone());
        Some(MailConfig {
            host,
            port: port?,
            tls,
            ca_file: ca_file?,
            user,
            password_file: password_file?,
            from: from?,
        })
    }

    fn mail_host(&mut self, host: &Spanned<String>) -> Option<String> {
        if Host::parse(host.get_ref()).is_ok() {
            return Some(host.get_ref().clone());
        }
        let hint = "for example smtp.example.com; the port stands in `port`";
        self.fault(host.span(), "host is no host name", hint);
        None
    }

    fn mail_tls(&mut self, section: &MailSection) -> Option<MailTls> {
        let Some(named) = &section.tls else {
            return Some(MailTls::default());
        };
        let found = MailTls::ALL.into_iter().find(|tls| tls.as_str() == named.get_ref());
        if found.is_none() {
            let words = format!("{:?} is no kind of TLS", named.get_ref());
            self.fault(named.span(), words, "\"starttls\", \"tls\" or \"none\"");
        }
        found
    }

    fn mail_port(&mut self, section: &MailSection, tls: MailTls) -> Option<u16> {
        let Some(port) = &section.port else {
            return Some(tls.usual_port());
        };
        let found = u16::try_from(*port.get_ref()).ok().filter(|port| *port > 0);
        if found.is_none() {
            self.fault(port.span(), "this is no port", "1 to 65535");
        }
        found
    }

    fn mail_from(&mut self, from: &Spanned<String>) -> Option<Sender> {
        let found = Sender::parse(from.get_ref());
        if found.is_none() {
            let hint = "for example \"Example Partners <partners@example.com>\"";
            self.fault(from.span(), "from is no address", hint);
        }
        found
    }

    /// The outer `None` where it names no file.
    fn mail_file(&mut self, named: Option<&Spanned<String>>) -> Option<Option<std::path::PathBuf>> {
        named.map_or(Some(None), |named| self.file(named).map(Some))
    }
}

fn is_this_machine(host: &str) -> bool {
    match Host::parse(host) {
        Ok(Host::Domain(name)) => name == "localhost",
        Ok(Host::Ipv4(address)) => address.is_loopback(),
        Ok(Host::Ipv6(address)) => address.is_loopback(),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// What is made of a section, or what is wrong with it, as `line: words`.
    fn check(text: &str) -> Result<MailConfig, Vec<String>> {
        let section: MailSection = toml::from_str(text).unwrap();
        let mut check = Check::new(text, Path::new("/etc/grantor/grantor.toml"));
        let config = check.mail(&section);
        let faults: Vec<String> = check
            .faults
            .iter()
            .map(|fault| format!("{}: {}", fault.line.unwrap(), fault.words))
            .collect();
        config.filter(|_| faults.is_empty()).ok_or(faults)
    }

    #[test]
    fn mail_goes_by_starttls_unless_the_file_says_otherwise() {
        let config = check("host = \"smtp.example.com\"\nfrom = \"partners@example.com\"").unwrap();
        assert_eq!((config.port, config.tls), (587, MailTls::StartTls));
        assert_eq!((config.user, config.password_file, config.ca_file), (None, None, None));
        let config = check(
            "host = \"smtp.example.com\"\ntls = \"tls\"\nuser = \"grantor\"\n\
             password_file = \"smtp.password\"\nca_file = \"/etc/ca.pem\"\n\
             from = \"Example Partners <partners@example.com>\"",
        )
        .unwrap();
        assert_eq!((config.port, config.tls), (465, MailTls::Tls));
        assert_eq!(config.password_file.unwrap(), Path::new("/etc/grantor/smtp.password"));
        assert_eq!(config.ca_file.unwrap(), Path::new("/etc/ca.pem"));
        for host in ["localhost", "127.0.0.1", "[::1]"] {
            let text =
                format!("host = \"{host}\"\ntls = \"none\"\nport = 1025\nfrom = \"a@b.example\"");
            assert_eq!(check(&text).unwrap().port, 1025, "{host}");
        }
    }

    #[test]
    fn all_that_is_wrong_with_mail_is_named_with_its_line() {
        for (text, fault) in [
            ("host = \"\"", "1: host is no host name"),
            ("host = \"a b\"", "1: host is no host name"),
            ("host = \"a.example\"\ntls = \"ssl\"", "2: \"ssl\" is no kind of TLS"),
            (
                "host = \"a.example\"\ntls = \"none\"",
                "2: without TLS everybody on the way reads the mail, and the password",
            ),
            ("host = \"a.example\"\nport = 0", "2: this is no port"),
            ("host = \"a.example\"\nport = 70000", "2: this is no port"),
            ("host = \"a.example\"\nuser = \"a\"", "2: there is a user and no password"),
            ("host = \"a.example\"\npassword_file = \"a\"", "2: there is a password and no user"),
            ("host = \"a.example\"\nca_file = \" \"", "2: this names no file"),
        ] {
            let text = format!("{text}\nfrom = \"a@b.example\"");
            assert_eq!(check(&text).unwrap_err(), [fault], "{text}");
        }
        for from in ["", "nobody", "a@b.example\\r\\nBcc: c@d.example"] {
            let text = format!("host = \"a.example\"\nfrom = \"{from}\"");
            assert_eq!(check(&text).unwrap_err(), ["2: from is no address"], "{text}");
        }
    }
}
