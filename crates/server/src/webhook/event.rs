//! What a partner may be told, and the body that tells it.

use grantor_protocol::environment::Environment;
use grantor_protocol::grant::Grant;
use serde::Serialize;
use uuid::Uuid;

use crate::clock::Clock;
use crate::random::Random;

/// What there is to tell, as an endpoint asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventType {
    /// A connection ended.
    GrantRevoked,
    /// Something was used twice, and its connection ended.
    GrantReuseDetected,
    /// A client secret ends soon.
    SecretExpiring,
    /// A request was approved.
    ClientApproved,
    /// A request was declined.
    ClientDeclined,
    /// A client was switched off.
    ClientSuspended,
    /// A client was switched on again.
    ClientResumed,
    /// A test.
    Ping,
}

/// One event of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A connection ended, or several.
    GrantRevoked {
        /// which
        ended: Ended,
        /// by whom
        by: EndedBy,
    },
    /// Something was used twice, and its connection ended.
    GrantReuseDetected {
        /// the connection
        grant_id: [u8; 16],
        /// the customer, where it is known
        customer_id: Option<[u8; 16]>,
        /// what was used twice
        reused: Reused,
    },
    /// A client secret ends soon.
    SecretExpiring {
        /// its last characters
        hint: String,
        /// in Unix seconds
        expires_at: i64,
    },
    /// A request was approved.
    ClientApproved {
        /// what the manager wrote
        note: Option<String>,
    },
    /// A request was declined.
    ClientDeclined {
        /// what the manager wrote
        note: Option<String>,
    },
    /// The client was switched off.
    ClientSuspended,
    /// The client was switched on again.
    ClientResumed,
    /// A test, which the partner asked for.
    Ping,
}

/// Which connections of a client ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// One.
    One {
        /// the connection
        grant_id: [u8; 16],
        /// whose, where it is known
        customer_id: Option<[u8; 16]>,
    },
    /// All of one customer.
    OfCustomer {
        /// whose
        customer_id: [u8; 16],
    },
    /// All of the client.
    All,
}

/// Who ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EndedBy {
    /// the customer
    Customer,
    /// the company that runs this server
    Company,
    /// a trial on staging, which the partner asked for
    Trial,
}

/// What was used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reused {
    /// an authorization code
    Code,
    /// a refresh token
    RefreshToken,
}

/// An event with all that it takes to tell it: it is put into the transaction of what happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its id, time-ordered.
    pub id: [u8; 16],
    /// When it happened, in Unix seconds.
    pub at: i64,
    /// In which environment.
    pub environment: Environment,
    /// Which client it is about.
    pub client_id: String,
    /// What happened.
    pub event: Event,
}

/// The body of a call.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    timestamp: String,
    data: Data<'a>,
}

/// What a body says. Members that an event does not have are left out.
#[derive(Default, Serialize)]
struct Data<'a> {
    environment: &'static str,
    client_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<EndedBy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reused: Option<Reused>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grant_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret_hint: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'a str>,
}

impl EventType {
    /// All of them, in the order of the docs.
    pub const ALL: [EventType; 8] = [
        EventType::GrantRevoked,
        EventType::GrantReuseDetected,
        EventType::SecretExpiring,
        EventType::ClientApproved,
        EventType::ClientDeclined,
        EventType::ClientSuspended,
        EventType::ClientResumed,
        EventType::Ping,
    ];

    /// As it stands in `type`.
    pub fn name(self) -> &'static str {
        match self {
            EventType::GrantRevoked => "grant.revoked",
            EventType::GrantReuseDetected => "grant.reuse_detected",
            EventType::SecretExpiring => "secret.expiring",
            EventType::ClientApproved => "client.approved",
            EventType::ClientDeclined => "client.declined",
            EventType::ClientSuspended => "client.suspended",
            EventType::ClientResumed => "client.resumed",
            EventType::Ping => "ping",
        }
    }

    /// What it means, in a sentence. The docs hold the same (a test compares).
    pub fn words(self) -> &'static str {
        match self {
            EventType::GrantRevoked => {
                "Connections ended, by their customer, this company or a trial: ask the customer to connect again."
            }
            EventType::GrantReuseDetected => {
                "A code or a refresh token was used twice, so its connection was ended: look for who else has it, and ask the customer to connect again."
            }
            EventType::SecretExpiring => "A client secret ends soon: make another one.",
            EventType::ClientApproved => "What you asked for a client was approved.",
            EventType::ClientDeclined => "What you asked for a client was declined.",
            EventType::ClientSuspended => {
                "A client was switched off; all its connections have ended."
            }
            EventType::ClientResumed => {
                "A client was switched on again; its customers have to connect again."
            }
            EventType::Ping => "A test that you asked for.",
        }
    }

    /// Reads a name.
    pub fn parse(name: &str) -> Option<EventType> {
        EventType::ALL.into_iter().find(|event| event.name() == name)
    }
}

impl Event {
    /// Something of this connection was used twice.
    pub fn reuse(reused: Reused, grant_id: [u8; 16], grant: Option<&Grant>) -> Event {
        let customer_id = grant.map(|grant| grant.customer_id);
        Event::GrantReuseDetected { grant_id, customer_id, reused }
    }

    /// Of which type.
    pub fn event_type(&self) -> EventType {
        match self {
            Event::GrantRevoked { .. } => EventType::GrantRevoked,
            Event::GrantReuseDetected { .. } => EventType::GrantReuseDetected,
            Event::SecretExpiring { .. } => EventType::SecretExpiring,
            Event::ClientApproved { .. } => EventType::ClientApproved,
            Event::ClientDeclined { .. } => EventType::ClientDeclined,
            Event::ClientSuspended => EventType::ClientSuspended,
            Event::ClientResumed => EventType::ClientResumed,
            Event::Ping => EventType::Ping,
        }
    }
}

impl Notice {
    /// Of what happens now.
    pub fn new(
        (clock, random): (&Clock, &Random),
        environment: Environment,
        client_id: &str,
        event: Event,
    ) -> Notice {
        let (id, at, client_id) = (random.id(clock), clock.now(), client_id.to_owned());
        Notice { id, at, environment, client_id, event }
    }

    /// The body of the call that tells it.
    pub fn body(&self) -> String {
        let mut data = Data {
            environment: self.environment.as_str(),
            client_id: &self.client_id,
            ..Data::default()
        };
        let uuid = |id: [u8; 16]| Uuid::from_bytes(id).to_string();
        match &self.event {
            Event::GrantRevoked { ended, by } => {
                data.ended_by = Some(*by);
                match *ended {
                    Ended::One { grant_id, customer_id } => {
                        data.ended = Some("connection");
                        data.grant_id = Some(uuid(grant_id));
                        data.sub = customer_id.map(uuid);
                    }
                    Ended::OfCustomer { customer_id } => {
                        data.ended = Some("customer");
                        data.sub = Some(uuid(customer_id));
                    }
                    Ended::All => data.ended = Some("client"),
                }
            }
            Event::GrantReuseDetected { grant_id, customer_id, reused } => {
                data.reused = Some(*reused);
                data.grant_id = Some(uuid(*grant_id));
                data.sub = customer_id.map(uuid);
            }
            Event::SecretExpiring { hint, expires_at } => {
                data.secret_hint = Some(hint);
                data.expires_at = Some(time(*expires_at));
            }
            Event::ClientApproved { note } | Event::ClientDeclined { note } => {
                data.note = note.as_deref();
            }
            Event::ClientSuspended | Event::ClientResumed | Event::Ping => {}
        }
        let body = Body { r#type: self.event.event_type().name(), timestamp: time(self.at), data };
        #[expect(clippy::expect_used, reason = "names and text are always JSON")]
        serde_json::to_string(&body).expect("JSON")
    }
}

/// A moment as ISO 8601 writes it, in UTC.
pub(crate) fn time(at: i64) -> String {
    jiff::Timestamp::from_second(at).map_or_else(|_| at.to_string(), |at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_says_what_happened_when_and_to_which_client() {
        let body = |event| {
            let notice = Notice {
                id: [1; 16],
                at: 1_800_000_000,
                environment: Environment::Staging,
                client_id: "app".to_owned(),
                event,
            };
            notice.body()
        };
        let one = Ended::One { grant_id: [2; 16], customer_id: Some([3; 16]) };
        assert_eq!(
            body(Event::GrantRevoked { ended: one, by: EndedBy::Customer }),
            r#"{"type":"grant.revoked","timestamp":"2027-01-15T08:00:00Z","data":{"environment":"staging","client_id":"app","ended":"connection","ended_by":"customer","grant_id":"02020202-0202-0202-0202-020202020202","sub":"03030303-0303-0303-0303-030303030303"}}"#
        );
        let note = Some("A \"quoted\" note\n".to_owned());
        assert_eq!(
            body(Event::ClientDeclined { note }),
            r#"{"type":"client.declined","timestamp":"2027-01-15T08:00:00Z","data":{"environment":"staging","client_id":"app","note":"A \"quoted\" note\n"}}"#
        );
        assert_eq!(
            body(Event::Ping),
            r#"{"type":"ping","timestamp":"2027-01-15T08:00:00Z","data":{"environment":"staging","client_id":"app"}}"#
        );
    }

    #[test]
    fn each_type_is_read_by_its_name_and_stands_in_the_docs_with_its_words() {
        let docs = include_str!("../../../../docs/reference/webhooks.md");
        for event in EventType::ALL {
            assert_eq!(EventType::parse(event.name()), Some(event));
            let line = format!("| `{}` | {} |", event.name(), event.words());
            assert!(docs.contains(&line), "not in the docs: {line}");
        }
        assert_eq!(EventType::parse("grant"), None);
    }
}
