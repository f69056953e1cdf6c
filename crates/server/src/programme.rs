//! The partner programme: what developers, managers and operators do, whoever asks for it.
//!
//! An operation is one function: it says who may do it, what has to be right, and what then stands in
//! the store and in the audit log. Pages, the JSON API and the command line all call it, so none of
//! them can allow what another forbids. Nothing here knows of HTTP.

pub mod account;
pub mod api_client;
pub mod app;
pub mod factor;
pub mod listing;
pub mod log;
pub mod logo;
pub mod partner;
pub mod request;
pub mod scope;
pub mod team;
pub mod test_customer;
pub mod webhook;

use crate::site::Site;
use crate::store::{Act, COMPANY_ID, Person, Role, StoreError};
use crate::throttle::{Credential, NotTaken, Subject};

/// Who does something.
#[derive(Clone, Debug)]
pub struct Actor {
    /// In words, as the log shows it.
    pub name: String,
    /// Who, where it is a person of the portal.
    pub id: Option<[u8; 16]>,
    /// What it may do.
    pub role: Role,
    /// For which partner an operator does what its own people could: a partner that cannot help
    /// itself asks whoever runs the server.
    pub behalf: Option<[u8; 16]>,
}

/// Why something was not done.
#[derive(Clone, Debug)]
pub enum Refused {
    /// There is no such thing, or it is not the actor's to know.
    NotFound,
    /// It is not for this actor to do.
    NotAllowed,
    /// Somebody else was faster, or it cannot be done as things stand: in a sentence.
    Conflict(String),
    /// What was sent cannot be taken.
    Fields(Vec<FieldFault>),
    /// It was tried too often.
    TooMany {
        /// until it may be tried again
        wait_seconds: i64,
    },
    /// Too much at once.
    Busy,
    /// The store failed.
    Store(StoreError),
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldFault {
    /// The name of the field.
    pub field: &'static str,
    /// In a sentence.
    pub words: String,
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Refused {
        match error {
            StoreError::Busy => Refused::Busy,
            error => Refused::Store(error),
        }
    }
}

impl From<NotTaken> for Refused {
    fn from(not_taken: NotTaken) -> Refused {
        match not_taken {
            NotTaken::TooMany { wait_seconds } => Refused::TooMany { wait_seconds },
            NotTaken::Store(error) => error.into(),
        }
    }
}

impl From<&Person> for Actor {
    fn from(person: &Person) -> Actor {
        Actor { name: person.email.clone(), id: Some(person.id), role: person.role, behalf: None }
    }
}

impl Actor {
    /// The partner whose own it sees and changes; `None` for the company, which sees all.
    pub fn partner_id(&self) -> Option<[u8; 16]> {
        self.role.partner_id().or(self.behalf)
    }

    /// Whether it may see and change what is this partner's.
    ///
    /// # Errors
    /// [`Refused::NotFound`]: what is another partner's does not exist for it.
    pub fn of_partner(&self, partner_id: [u8; 16]) -> Result<(), Refused> {
        match self.partner_id() {
            None => Ok(()),
            Some(own) if own == partner_id => Ok(()),
            Some(_) => Err(Refused::NotFound),
        }
    }

    /// Whether it may have what only this partner may: a manager decides about clients, and never
    /// holds what opens them.
    ///
    /// # Errors
    /// [`Refused::NotFound`], [`Refused::NotAllowed`]
    pub fn holder(&self, partner_id: [u8; 16]) -> Result<(), Refused> {
        match self.role {
            // What is the company's own is theirs to hold.
            Role::Manager if partner_id == COMPANY_ID => Ok(()),
            Role::Manager => Err(Refused::NotAllowed),
            Role::Owner { .. } | Role::Developer { .. } | Role::Operator => {
                self.of_partner(partner_id)
            }
        }
    }

    /// Whether it decides.
    ///
    /// # Errors
    /// [`Refused::NotAllowed`]
    pub fn staff(&self) -> Result<(), Refused> {
        if self.role.is_staff() { Ok(()) } else { Err(Refused::NotAllowed) }
    }

    /// Whether it may do what only owners of a partner, and staff, may.
    ///
    /// # Errors
    /// [`Refused::NotAllowed`]
    pub fn owner(&self) -> Result<(), Refused> {
        match self.role {
            Role::Developer { .. } => Err(Refused::NotAllowed),
            Role::Owner { .. } | Role::Manager | Role::Operator => Ok(()),
        }
    }

    /// Counts what a partner adds or changes: each leaves an entry in the audit log, which nobody
    /// removes. What is taken away is not counted: something was added before it, and whoever has to
    /// end a leak must not wait for whoever made it. Staff is not counted.
    ///
    /// # Errors
    /// [`Refused::TooMany`]
    pub(in crate::programme) async fn takes_turn(&self, site: &Site) -> Result<(), Refused> {
        match self.role.partner_id() {
            Some(partner_id) => {
                let subject = Subject::new(Credential::Change, &partner_id);
                Ok(site.throttle.count_named(&subject).await?)
            }
            None => Ok(()),
        }
    }

    /// The entry of the audit log for something that it does now.
    pub fn act(&self, site: &Site, act: &'static str, detail: impl Into<String>) -> Act {
        Act {
            at: site.clock.now(),
            actor: format!("{} ({})", self.name, self.role.as_str()),
            actor_id: self.id,
            act,
            partner_id: self.partner_id(),
            client_id: None,
            detail: detail.into(),
            mails: Vec::new(),
            notices: Vec::new(),
        }
    }
}
