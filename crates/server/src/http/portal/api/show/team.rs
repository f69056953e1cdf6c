//! People and invitations.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{id, time};
use crate::store;

/// Somebody who signs in to the portal.
#[derive(Serialize, ToSchema)]
pub(crate) struct Person {
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a8057")]
    id: String,
    name: String,
    email: String,
    /// `owner` or `developer` of a partner; `manager` or `operator` of the company.
    #[schema(example = "developer")]
    role: &'static str,
    #[schema(format = DateTime)]
    joined_at: String,
    /// Since when a second factor is asked for.
    #[schema(format = DateTime)]
    second_factor_since: Option<String>,
}

/// A part of the team.
#[derive(Serialize, ToSchema)]
pub(crate) struct People {
    pub(crate) items: Vec<Person>,
    /// The parameter `cursor` of the next part; none where this is the last.
    pub(crate) next_cursor: Option<String>,
}

/// Somebody who is invited.
#[derive(Serialize, ToSchema)]
pub(crate) struct Invitation {
    #[schema(example = "01890a5d-ac96-774b-bcce-b302099a8057")]
    id: String,
    email: String,
    /// As what.
    #[schema(example = "developer")]
    role: &'static str,
    /// By whom, in words.
    invited_by: String,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    expires_at: String,
}

/// A part of the list of invitations.
#[derive(Serialize, ToSchema)]
pub(crate) struct Invitations {
    pub(crate) items: Vec<Invitation>,
    /// The parameter `cursor` of the next part; none where this is the last.
    pub(crate) next_cursor: Option<String>,
}

/// What somebody is in a partner's team.
#[derive(Clone, Copy, Deserialize, ToSchema, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PersonRole {
    /// May invite people and make API clients too.
    Owner,
    Developer,
}

impl From<&store::Person> for Person {
    fn from(person: &store::Person) -> Person {
        Person {
            id: id(person.id),
            name: person.name.clone(),
            email: person.email.clone(),
            role: person.role.as_str(),
            joined_at: time(person.joined_at),
            second_factor_since: person.factor_since.map(time),
        }
    }
}

impl From<&store::Invitation> for Invitation {
    fn from(invitation: &store::Invitation) -> Invitation {
        Invitation {
            id: id(invitation.id),
            email: invitation.email.clone(),
            role: invitation.role.as_str(),
            invited_by: invitation.invited_by.clone(),
            created_at: time(invitation.created_at),
            expires_at: time(invitation.expires_at),
        }
    }
}
