//! The people of the portal: developers of partners, partner managers, operators.
//!
//! The account itself (address, name, password, counter) is a row of `customers` in the portal's own
//! issuer, so signing in, sessions and throttling are what they are for customers. What the person
//! is in the programme stands in `people`.

use std::sync::LazyLock;

use grantor_protocol::environment::Environment;

use super::audit::Act;
use super::engine::{Columns, Row, Statement, Value};
use super::partner::{Partner, insert_partner};
use super::{Store, StoreError};
use crate::journal::Ending;

/// What a person is in the partner programme.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// of a partner; may invite and ask for everything
    Owner {
        /// the partner
        partner_id: [u8; 16],
    },
    /// of a partner
    Developer {
        /// the partner
        partner_id: [u8; 16],
    },
    /// of this company; decides
    Manager,
    /// runs the server; may do everything
    Operator,
}

/// A person of the portal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The id of the account.
    pub id: [u8; 16],
    /// In lower case.
    pub email: String,
    /// The name.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Whether nobody can sign in with it.
    pub disabled: bool,
    /// In Unix seconds.
    pub joined_at: i64,
    /// Since when a second factor is asked for, in Unix seconds.
    pub factor_since: Option<i64>,
}

/// A person to be.
pub struct NewPerson<'a> {
    /// The id.
    pub id: [u8; 16],
    /// In lower case.
    pub email: &'a str,
    /// The name.
    pub name: &'a str,
    /// In PHC form.
    pub password_hash: &'a str,
    /// What it is to be.
    pub role: Role,
    /// Whether it is one of dev.
    pub demo: bool,
}

const COLUMNS: &str = "p.id, u.email, u.name, p.staff, p.partner_id, p.role, u.disabled, \
    p.joined_at, p.totp_confirmed_at";
const ACCOUNT: &str = "JOIN customers u ON u.environment = 'portal' AND u.id = p.id";

static STAFF: LazyLock<String> = LazyLock::new(|| part("p.staff IS NOT NULL AND p.id > $1", "$2"));
static OF_PARTNER: LazyLock<String> =
    LazyLock::new(|| part("p.partner_id = $1 AND p.id > $2", "$3"));

/// The people come first, and then their accounts: SQLite keeps the order of a cross join, and would
/// otherwise walk through the accounts of all people.
fn part(which: &str, limit: &str) -> String {
    format!(
        "SELECT {COLUMNS} FROM people p CROSS JOIN customers u \
         WHERE {which} AND u.environment = 'portal' AND u.id = p.id ORDER BY p.id LIMIT {limit}"
    )
}

/// What is done to a person, unless it is the last owner of its partner, or the last of the staff.
macro_rules! unless_last {
    ($what:literal) => {
        concat!(
            $what,
            " FROM people WHERE id = $1 AND (role = 'developer' \
              OR (partner_id IS NOT NULL AND EXISTS (SELECT 1 FROM people o \
                WHERE o.partner_id = people.partner_id AND o.role = 'owner' AND o.id <> $1)) \
              OR (partner_id IS NULL AND EXISTS (SELECT 1 FROM people o \
                WHERE o.staff IS NOT NULL AND o.id <> $1)))"
        )
    };
}

impl Role {
    /// The partner that the person belongs to.
    pub fn partner_id(self) -> Option<[u8; 16]> {
        match self {
            Role::Owner { partner_id } | Role::Developer { partner_id } => Some(partner_id),
            Role::Manager | Role::Operator => None,
        }
    }

    /// Whether the person is of this company.
    pub fn is_staff(self) -> bool {
        self.partner_id().is_none()
    }

    /// In a word.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Owner { .. } => "owner",
            Role::Developer { .. } => "developer",
            Role::Manager => "manager",
            Role::Operator => "operator",
        }
    }
}

impl Store {
    /// Adds a person; with the partner, where it is the first of a new one, or in the place of an
    /// invitation. Answers whether the address was free, and the invitation stood.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn add_person(
        &self,
        person: &NewPerson<'_>,
        partner: Option<&Partner>,
        invitation: Option<[u8; 16]>,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let mut transaction: Vec<Statement> = partner.map(insert_partner).into_iter().collect();
        transaction.extend(invitation.map(|id| {
            Statement::new(
                "DELETE FROM invitations WHERE id = $1 AND expires_at > $2",
                vec![id.into(), act.at.into()],
            )
        }));
        transaction.extend(insert_person(person, act.at));
        self.act(transaction, act).await
    }

    /// The person of that account.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn person(&self, id: [u8; 16]) -> Result<Option<Person>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM people p {ACCOUNT} WHERE p.id = $1");
        let rows = self.engine.read(&sql, vec![id.into()]).await?;
        rows.into_iter().next().map(read_person).transpose()
    }

    /// Managers and operators behind the one of that id, the first first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn staff(&self, after: [u8; 16], limit: i64) -> Result<Vec<Person>, StoreError> {
        self.read_people(&STAFF, vec![after.into(), limit.into()]).await
    }

    /// Sets a person's password, if the counter is still that one; all sessions end.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn set_person_password(
        &self,
        id: [u8; 16],
        counter: i64,
        password_hash: &str,
        act: &Act,
    ) -> Result<bool, StoreError> {
        self.note(Ending::PasswordChanged { environment: Environment::Portal, id }).await?;
        let statement = Statement::new(
            "UPDATE customers SET password_hash = $4, counter = counter + 1 \
             WHERE environment = $1 AND id = $2 AND counter = $3 AND NOT disabled",
            vec![
                Environment::Portal.as_str().into(),
                id.into(),
                counter.into(),
                password_hash.into(),
            ],
        );
        // Whoever knew the password before may have seen a key that waits to be confirmed.
        let waiting =
            Statement::any("UPDATE people SET totp_next = NULL WHERE id = $1", vec![id.into()]);
        self.act(vec![statement, waiting], act).await
    }

    /// Gives a person of a partner another role, unless it is the last owner.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn set_role(
        &self,
        person: &Person,
        role: Role,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "UPDATE people SET role = $3 WHERE id = $1 AND partner_id = $2 AND role <> $3 \
             AND ($3 = 'owner' OR EXISTS (SELECT 1 FROM people o \
               WHERE o.partner_id = $2 AND o.role = 'owner' AND o.id <> $1))",
            vec![person.id.into(), role.partner_id().into(), role.as_str().into()],
        );
        self.act(vec![statement], act).await
    }

    /// Ends a person's access and sessions, unless it is the last owner of its partner, or the last
    /// of the staff. The address is free again.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn remove_person(&self, person: &Person, act: &Act) -> Result<bool, StoreError> {
        let id = person.id;
        // What is refused must not stand in the journal: a restore would end whom the portal kept.
        // Only of two last ones who remove each other in one moment both are noted.
        let may_go = self.engine.read(unless_last!("SELECT id"), vec![id.into()]).await?;
        if may_go.is_empty() {
            return Ok(false);
        }
        self.note(Ending::CustomerDisabled { environment: Environment::Portal, id }).await?;
        let transaction = vec![
            Statement::new(unless_last!("DELETE"), vec![id.into()]),
            Statement::new(
                "DELETE FROM customers WHERE environment = $1 AND id = $2",
                vec![Environment::Portal.as_str().into(), id.into()],
            ),
        ];
        self.act(transaction, act).await
    }

    /// The people of a partner behind the one of that id, the first first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn people_of(
        &self,
        partner_id: [u8; 16],
        after: [u8; 16],
        limit: i64,
    ) -> Result<Vec<Person>, StoreError> {
        self.read_people(&OF_PARTNER, vec![partner_id.into(), after.into(), limit.into()]).await
    }

    async fn read_people(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Person>, StoreError> {
        self.engine.read(sql, values).await?.into_iter().map(read_person).collect()
    }
}

/// What makes a person: the account, and what it is.
pub(super) fn insert_person(person: &NewPerson<'_>, now: i64) -> [Statement; 2] {
    let account = Statement::new(
        "INSERT INTO customers (environment, id, email, name, password_hash, demo, disabled, \
         counter, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, 0, $8) ON CONFLICT DO NOTHING",
        vec![
            Environment::Portal.as_str().into(),
            person.id.into(),
            person.email.into(),
            person.name.into(),
            person.password_hash.into(),
            person.demo.into(),
            false.into(),
            now.into(),
        ],
    );
    let (staff, role) = match person.role {
        Role::Manager | Role::Operator => (Some(person.role.as_str()), None),
        Role::Owner { .. } | Role::Developer { .. } => (None, Some(person.role.as_str())),
    };
    let being = Statement::new(
        "INSERT INTO people (id, staff, partner_id, role, joined_at) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        vec![
            person.id.into(),
            staff.into(),
            person.role.partner_id().into(),
            role.into(),
            now.into(),
        ],
    );
    [account, being]
}

fn read_person(row: Row) -> Result<Person, StoreError> {
    let mut row = row.columns("people", "(being read)");
    let (id, email, name) = (row.array("id")?, row.text("email")?, row.text("name")?);
    let role = read_role(&mut row)?;
    Ok(Person {
        id,
        email,
        name,
        role,
        disabled: row.boolean("disabled")?,
        joined_at: row.integer("joined_at")?,
        factor_since: row.optional_integer("totp_confirmed_at")?,
    })
}

/// `staff`, `partner_id` and `role` together.
pub(super) fn read_role(row: &mut Columns) -> Result<Role, StoreError> {
    let staff = row.optional_text("staff")?;
    let partner_id = row.optional_array("partner_id")?;
    let role = row.optional_text("role")?;
    match (staff.as_deref(), partner_id, role.as_deref()) {
        (Some("manager"), None, _) => Ok(Role::Manager),
        (Some("operator"), None, _) => Ok(Role::Operator),
        (None, Some(partner_id), Some("owner")) => Ok(Role::Owner { partner_id }),
        (None, Some(partner_id), Some("developer")) => Ok(Role::Developer { partner_id }),
        _ => Err(row.corrupt("role")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plan::{empty, plan};

    #[tokio::test]
    async fn people_are_found_without_a_walk_through_all() {
        let (store, _folder) = empty().await;
        for (sql, values, index) in
            [(&STAFF, 2, "people_of_staff"), (&OF_PARTNER, 3, "people_of_partner")]
        {
            let found = plan(&store, sql, values).await;
            assert!(found.contains(index) && !found.contains("TEMP B-TREE"), "{found}");
            assert!(
                found.contains("u USING") && found.contains("environment=? AND id=?"),
                "{found}"
            );
        }
    }
}
