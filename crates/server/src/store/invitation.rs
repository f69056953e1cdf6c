//! Invitations to the portal. One is taken once: its row goes with the person that comes of it.

use std::sync::LazyLock;

use super::audit::Act;
use super::engine::{Row, Statement, Value};
use super::person::read_role;
use super::{Role, Store, StoreError};

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its id.
    pub id: [u8; 16],
    /// To whom, in lower case.
    pub email: String,
    /// As what.
    pub role: Role,
    /// By whom, in words.
    pub invited_by: String,
    /// In Unix seconds.
    pub created_at: i64,
    /// In Unix seconds.
    pub expires_at: i64,
}

const COLUMNS: &str =
    "id, email, staff, partner_id, role, invited_by, created_at, expires_at FROM invitations";

static OF_PARTNER: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {COLUMNS} WHERE partner_id = $3 AND id > $1 ORDER BY id LIMIT $2")
});
static TO_STAFF: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {COLUMNS} WHERE staff IS NOT NULL AND id > $1 ORDER BY id LIMIT $2")
});

/// The last condition counts those of the same side: of the partner, or to the staff.
const INVITE: &str = "INSERT INTO invitations (id, partner_id, staff, email, role, invited_by, \
     created_at, expires_at) SELECT $1, $2, $3, $4, $5, $6, $7, $8 \
     WHERE NOT EXISTS (SELECT 1 FROM invitations i WHERE i.email = $4 \
       AND COALESCE(i.staff, '') = COALESCE($3, '') \
       AND (i.partner_id = $2 OR $3 IS NOT NULL)) \
     AND (SELECT COUNT(*) FROM invitations i WHERE i.partner_id = $2) \
       + (SELECT COUNT(*) FROM invitations i WHERE i.staff IS NOT NULL AND i.staff = $3) \
       + (SELECT COUNT(*) FROM people p WHERE p.partner_id = $2) < $9";

impl Store {
    /// Adds an invitation, unless that address is invited already or there are `most` people and
    /// invitations. Answers whether it did.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn invite(
        &self,
        invitation: &Invitation,
        most: i64,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let role = invitation.role;
        let (staff, of_partner) = match role {
            Role::Manager | Role::Operator => (Some(role.as_str()), None),
            Role::Owner { .. } | Role::Developer { .. } => (None, Some(role.as_str())),
        };
        // Those that are too old make room for others.
        let transaction = vec![
            Statement::any("DELETE FROM invitations WHERE expires_at <= $1", vec![act.at.into()]),
            Statement::new(
                INVITE,
                vec![
                    invitation.id.into(),
                    role.partner_id().into(),
                    staff.into(),
                    invitation.email.as_str().into(),
                    of_partner.into(),
                    invitation.invited_by.as_str().into(),
                    invitation.created_at.into(),
                    invitation.expires_at.into(),
                    most.into(),
                ],
            ),
        ];
        self.act(transaction, act).await
    }

    /// Takes an invitation back. Answers whether it stood.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn withdraw_invitation(&self, id: [u8; 16], act: &Act) -> Result<bool, StoreError> {
        let statement = Statement::new("DELETE FROM invitations WHERE id = $1", vec![id.into()]);
        self.act(vec![statement], act).await
    }

    /// An invitation that stands, whether or not it is too old.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn invitation(&self, id: [u8; 16]) -> Result<Option<Invitation>, StoreError> {
        let sql = format!("SELECT {COLUMNS} WHERE id = $1");
        let found = self.read_invitations(&sql, vec![id.into()]).await?;
        Ok(found.into_iter().next())
    }

    /// The invitations of a partner, or those to the staff, behind the one of that id, the oldest
    /// first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn invitations(
        &self,
        partner_id: Option<[u8; 16]>,
        after: [u8; 16],
        limit: i64,
    ) -> Result<Vec<Invitation>, StoreError> {
        let mut values: Vec<Value> = vec![after.into(), limit.into()];
        values.extend(partner_id.map(Value::from));
        let sql = if partner_id.is_some() { &OF_PARTNER } else { &TO_STAFF };
        self.read_invitations(sql, values).await
    }

    async fn read_invitations(
        &self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<Invitation>, StoreError> {
        self.engine.read(sql, values).await?.into_iter().map(read_invitation).collect()
    }
}

fn read_invitation(row: Row) -> Result<Invitation, StoreError> {
    let mut row = row.columns("invitations", "(being read)");
    let (id, email) = (row.array("id")?, row.text("email")?);
    let role = read_role(&mut row)?;
    Ok(Invitation {
        id,
        email,
        role,
        invited_by: row.text("invited_by")?,
        created_at: row.integer("created_at")?,
        expires_at: row.integer("expires_at")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::plan::{empty, plan};

    #[tokio::test]
    async fn invitations_are_found_without_a_walk_through_all() {
        let (store, _folder) = empty().await;
        for (sql, values, index) in
            [(&OF_PARTNER, 3, "invitations_of_partner"), (&TO_STAFF, 2, "invitations_of_staff")]
        {
            let found = plan(&store, sql, values).await;
            assert!(found.contains(index) && !found.contains("TEMP B-TREE"), "{found}");
        }
        let invite = plan(&store, INVITE, 9).await;
        assert!(invite.contains("invitations_by_email"), "{invite}");
        // None of the parts looks at all of a table.
        for line in invite.lines().filter(|line| line.starts_with("SCAN")) {
            assert!(line.contains("invitations_of_staff") || line.contains("CONSTANT"), "{invite}");
        }
    }
}
