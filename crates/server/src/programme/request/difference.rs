//! What a request would change of its client: for whoever decides, on the page and by the API.

use super::super::app::hosts;
use super::{outcome, widened};
use crate::store::{ClientRecord, ProgrammeRequest, RequestKind};

/// What is, and what is to be. Once nothing is open any more, it is what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The hosts that codes go to.
    pub hosts: Vec<Item>,
    /// The redirect URIs.
    pub redirect_uris: Vec<Item>,
    /// The scopes.
    pub scopes: Vec<Item>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Itself.
    pub text: String,
    /// What becomes of it.
    pub change: Change,
}

/// What becomes of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// it is new
    Added,
    /// it goes
    Removed,
    /// it stays as it is
    Stays,
}

/// The difference of a request about that client, as it stands.
pub fn difference(request: &ProgrammeRequest, record: &ClientRecord) -> Difference {
    // A client that is to be made has nothing yet, and one that was decided about has it already.
    let is_change = request.kind == RequestKind::Change && request.state.is_open();
    let ((seen, held), (uris, scopes)) = match is_change {
        true => {
            let client = &record.client;
            ((client.redirect_uris.clone(), client.scopes.clone()), outcome(request, record))
        }
        false => (Default::default(), widened(&request.asked)),
    };
    let texts = |uris: &[_]| uris.iter().map(ToString::to_string).collect::<Vec<_>>();
    Difference {
        hosts: items(&hosts(&seen), &hosts(&uris)),
        redirect_uris: items(&texts(&seen), &texts(&uris)),
        scopes: items(
            &held.iter().map(str::to_owned).collect::<Vec<_>>(),
            &scopes.iter().map(str::to_owned).collect::<Vec<_>>(),
        ),
    }
}

fn items(seen: &[String], new: &[String]) -> Vec<Item> {
    let item = |text: &String, change| Item { text: text.clone(), change };
    let there = new.iter().map(|text| match seen.contains(text) {
        true => item(text, Change::Stays),
        false => item(text, Change::Added),
    });
    let gone = seen.iter().filter(|text| !new.contains(text));
    there.chain(gone.map(|text| item(text, Change::Removed))).collect()
}
