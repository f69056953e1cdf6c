//! What is tried, of whom, and from where.

use std::net::IpAddr;

use aws_lc_rs::digest::{Context, SHA256};

/// What is tried. The tallies of one kind are nothing to another: a worker that forgot its secret
/// keeps nobody on its network from signing in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// a customer's password
    Password,
    /// a client's secret or assertion, or its id alone
    Client,
    /// a token that lets a client register
    InitialAccessToken,
    /// the token for a registration
    RegistrationToken,
    /// the code that a device shows
    UserCode,
    /// a registration that needs no token: each one counts
    Registration,
    /// a mail to somebody, which whoever asks for it need not be: each one counts
    Mail,
    /// an invitation of somebody, who is named: each one counts, from anywhere
    Invitation,
    /// a password that is drawn for somebody who is named: each one counts, from anywhere
    DrawnPassword,
    /// a call of a partner's webhooks that somebody asks for: each one counts, from anywhere
    WebhookCall,
    /// a change that a partner makes of what is its own: each one counts, from anywhere
    Change,
}

/// What is tried of whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// What.
    pub credential: Credential,
    /// The canonical name, whether there is such a one or not; empty where nobody is named.
    pub name: &'a [u8],
}

/// Where a try comes from, as far as one household or office has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    bytes: [u8; 8],
    length: usize,
}

impl Credential {
    /// All of them, in order.
    pub const ALL: [Credential; Credential::Change as usize + 1] = [
        Credential::Password,
        Credential::Client,
        Credential::InitialAccessToken,
        Credential::RegistrationToken,
        Credential::UserCode,
        Credential::Registration,
        Credential::Mail,
        Credential::Invitation,
        Credential::DrawnPassword,
        Credential::WebhookCall,
        Credential::Change,
    ];

    /// Its name, in the metrics and in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Credential::Password => "password",
            Credential::Client => "client",
            Credential::InitialAccessToken => "initial_access_token",
            Credential::RegistrationToken => "registration_token",
            Credential::UserCode => "user_code",
            Credential::Registration => "registration",
            Credential::Mail => "mail",
            Credential::Invitation => "invitation",
            Credential::DrawnPassword => "drawn_password",
            Credential::WebhookCall => "webhook_call",
            Credential::Change => "change",
        }
    }
}

impl<'a> Subject<'a> {
    /// Something of somebody.
    pub fn new(credential: Credential, name: &'a [u8]) -> Subject<'a> {
        Subject { credential, name }
    }

    /// Something that names nobody.
    pub fn nameless(credential: Credential) -> Subject<'static> {
        Subject { credential, name: b"" }
    }
}

impl Network {
    /// An IPv4 address whole. Of an IPv6 address the first 64 bits: whoever has one has all that
    /// begin so (RFC 6177).
    pub fn of(address: IpAddr) -> Network {
        let mut bytes = [0; 8];
        match address.to_canonical() {
            IpAddr::V4(address) => {
                bytes[..4].copy_from_slice(&address.octets());
                Network { bytes, length: 4 }
            }
            IpAddr::V6(address) => {
                bytes.copy_from_slice(&address.octets()[..8]);
                Network { bytes, length: 8 }
            }
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Each part with its length before it: no two lists of parts give one digest.
pub(super) fn digest<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> Network {
        Network::of(address.parse().unwrap())
    }

    #[test]
    fn s20_an_ipv4_address_counts_whole_and_an_ipv6_address_by_its_first_64_bits() {
        assert_ne!(network("203.0.113.9"), network("203.0.113.10"));
        assert_eq!(network("2001:db8:0:1::1"), network("2001:db8:0:1:ffff:ffff:ffff:ffff"));
        assert_ne!(network("2001:db8:0:1::1"), network("2001:db8:0:2::1"));
        assert_eq!(network("::ffff:203.0.113.9"), network("203.0.113.9"));
        // Four bytes of one kind are not the first four of the other.
        assert_ne!(network("32.1.13.184"), network("2001:db8::1"));
    }

    #[test]
    fn no_two_lists_of_parts_give_one_digest() {
        let parts: [&[&[u8]]; 4] = [&[b"ab", b"c"], &[b"a", b"bc"], &[b"abc"], &[b"abc", b""]];
        let digests: std::collections::HashSet<[u8; 32]> =
            parts.iter().map(|parts| digest(parts.iter().copied())).collect();
        assert_eq!(digests.len(), parts.len());
    }
}
