//! The partner programme at the command line: an operator does what the portal's pages and its API
//! do, by the same operations, with the same conditions and the same entries in the audit log.
//!
//! 1. [`Desk::open`] opens the store with its keys, and the portal of it as it is served;
//! 2. a command calls an operation of `programme` as [`Desk::actor`], or for one partner as
//!    [`Desk::behalf`];
//! 3. what the operation refuses becomes words and hints. Data is shown as the API shows it.

use std::sync::Arc;

use uuid::Uuid;

use super::place::{Opened, Place};
use super::sites::Ground;
use super::{Failure, dev, partner};
use crate::config::Config;
use crate::keys::Keys;
use crate::master_key::MasterKey;
use crate::outbound::Reach;
use crate::password::Passwords;
use crate::programme::{Actor, Refused, app};
use crate::site::{Portal, Site};
use crate::store::{ClientRecord, Role};

/// The portal, for a command.
pub(super) struct Desk {
    pub(super) site: Arc<Site>,
    /// The store alone, with the time and the randomness.
    pub(super) opened: Opened,
    command: &'static str,
}

impl Desk {
    /// Opens what `place` names, for that command, such as `grantor request`.
    pub(super) async fn open(place: &Place, command: &'static str) -> Result<Desk, Failure> {
        let config = match &place.data {
            Some(_) => None,
            None => Some(Config::read(&place.config.path)?),
        };
        if config.as_ref().is_some_and(|config| config.portal.is_none()) {
            return Err(Failure::mendable(format!(
                "there is no portal in the configuration {}",
                place.config.path.display()
            ))
            .hint("add [portal] to it: the docs, guides/portal, say how"));
        }
        let master_key = MasterKey::read(&place.master_key_file()?)?;
        let opened = place.open().await?;
        let (clock, random) = (opened.clock.clone(), opened.random.clone());
        let ground = Ground {
            store: opened.store.clone(),
            keys: Keys::open(&opened.store, &master_key, &clock, &random).await?,
            passwords: Passwords::start(1, random.clone())?,
            clock,
            random,
            reach: if config.is_some() { Reach::Public } else { Reach::ThisMachine },
        };
        let site = match &place.data {
            Some(folder) => dev::portal(&ground, folder),
            // The portal is the last of them, and there is one.
            None => config
                .and_then(|config| ground.configured(&config).pop())
                .ok_or_else(|| Failure::unexplained("the configuration has no site"))?,
        };
        Ok(Desk { site, opened, command })
    }

    /// The operator, for everybody.
    pub(super) fn actor(&self) -> Actor {
        Actor { name: self.command.to_owned(), id: None, role: Role::Operator, behalf: None }
    }

    /// The operator, for the partner of that id or name.
    pub(super) async fn behalf(&self, wanted: &str) -> Result<Actor, Failure> {
        let partner = partner::find(&self.opened, wanted).await?;
        Ok(Actor { behalf: Some(partner.id), ..self.actor() })
    }

    /// What only the portal has.
    pub(super) fn portal(&self) -> Result<&Portal, Failure> {
        let portal = self.site.portal.as_ref();
        portal.ok_or_else(|| Failure::unexplained("the portal has no environments"))
    }

    /// The client of that id.
    pub(super) async fn client(&self, id: &str) -> Result<ClientRecord, Failure> {
        app::find(&self.site, &self.actor(), id).await.map_err(|refused| match refused {
            Refused::NotFound => Failure::mendable(format!("there is no client {id:?}"))
                .hint("`grantor client list` shows all"),
            refused => refused.into(),
        })
    }
}

/// An id as the lists show it.
pub(super) fn id(text: &str) -> Result<[u8; 16], Failure> {
    let parsed = Uuid::parse_str(text.trim());
    parsed.map(Uuid::into_bytes).map_err(|_| {
        Failure::mendable(format!("{text:?} is no id"))
            .hint("the lists show ids, such as 01890a5d-ac96-774b-bcce-b302099a8057")
    })
}

/// Says that there is no such thing, in words that name it.
pub(super) fn not_found<'a>(what: &'a str, hint: &'a str) -> impl FnOnce(Refused) -> Failure + 'a {
    move |refused| match refused {
        Refused::NotFound => Failure::mendable(format!("there is no {what}")).hint(hint),
        refused => refused.into(),
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        match refused {
            Refused::NotFound => Failure::mendable("there is no such thing"),
            Refused::NotAllowed => Failure::mendable("this is not for an operator to do"),
            Refused::Conflict(words) => Failure::mendable(words),
            Refused::TooMany { wait_seconds } => Failure::mendable("this was done too often")
                .hint(format!("it can be done again in {wait_seconds} seconds")),
            Refused::Fields(faults) => Failure::all(
                faults
                    .into_iter()
                    .map(|fault| Failure::mendable(format!("{}: {}", fault.field, fault.words)))
                    .collect(),
            ),
            Refused::Busy => Failure::mendable("there is too much waiting in the store")
                .hint("try again in a moment"),
            Refused::Store(error) => error.into(),
        }
    }
}

/// How a line went out that is one of many: `None` to go on. Whoever reads no further, as `head`
/// does, has seen enough.
pub(super) fn written(line: std::io::Result<()>) -> Option<Result<(), Failure>> {
    match line {
        Ok(()) => None,
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Some(Ok(())),
        Err(error) => Some(Err(
            Failure::mendable("nothing can be written to standard output").because(&error)
        )),
    }
}
