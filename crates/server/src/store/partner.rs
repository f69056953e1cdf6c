//! Partners, the organisations that integrate.

use super::api_client::COMPANY_ID;
use super::engine::{Row, Statement};
use super::{Act, Store, StoreError};
use crate::journal::Ending;

/// The organisation that integrates.
#[derive(Clone, Debug)]
pub struct Partner {
    /// Its id.
    pub id: [u8; 16],
    /// Its name, as customers read it.
    pub name: String,
    /// Whom to write to.
    pub contact: Option<String>,
    /// Whether this company has verified who it is.
    pub verified: bool,
    /// Whether all that it has was switched off.
    pub suspended: bool,
    /// In Unix seconds.
    pub created_at: i64,
}

/// How many are read at once of a list that is wanted whole.
const AT_ONCE: i64 = 500;

const COLUMNS: &str = "id, name, contact, verified, created_at, suspended FROM partners";

impl Store {
    /// Adds a partner.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn add_partner(&self, partner: &Partner) -> Result<bool, StoreError> {
        Ok(self.engine.write(vec![insert_partner(partner)]).await?.is_done())
    }

    /// The same as somebody's act, which is noted with it.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn add_partner_noting(
        &self,
        partner: &Partner,
        act: &Act,
    ) -> Result<bool, StoreError> {
        self.act(vec![insert_partner(partner)], act).await
    }

    /// All partners, the oldest first; this company's own row is none of them.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn partners(&self) -> Result<Vec<Partner>, StoreError> {
        let mut all: Vec<Partner> = Vec::new();
        loop {
            let last = all.last().map_or([0; 16], |partner| partner.id);
            let part = self.partners_behind(last, AT_ONCE).await?;
            if part.is_empty() {
                return Ok(all);
            }
            all.extend(part);
        }
    }

    /// Partners whose name begins so, in the order of their names, behind a name and an id.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn partners_by_name(
        &self,
        prefix: &str,
        (name, id): (&str, [u8; 16]),
        limit: i64,
    ) -> Result<Vec<Partner>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} WHERE (name, id) > ($1, $2) AND id <> $5 \
             AND LOWER(SUBSTR(name, 1, LENGTH($3))) = LOWER($3) ORDER BY name, id LIMIT $4"
        );
        let values = vec![name.into(), id.into(), prefix.into(), limit.into(), COMPANY_ID.into()];
        self.engine.read(&sql, values).await?.into_iter().map(read_partner).collect()
    }

    /// Says whether somebody verified who the partner is. Answers whether it was otherwise before.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn set_partner_verified(
        &self,
        id: [u8; 16],
        verified: bool,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "UPDATE partners SET verified = $2 WHERE id = $1 AND verified <> $2",
            vec![id.into(), verified.into()],
        );
        self.act(vec![statement], act).await
    }

    /// Switches a partner off with all its clients, which ends their connections, or on again with
    /// those clients that were switched off with it. Answers whether it was otherwise before.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn switch_partner(
        &self,
        id: [u8; 16],
        off: bool,
        act: &Act,
    ) -> Result<bool, StoreError> {
        if off {
            self.note(Ending::PartnerDisabled { id }).await?;
        }
        let clients = match off {
            true => {
                "UPDATE clients SET disabled = TRUE, suspended = TRUE, counter = counter + 1 \
                 WHERE partner_id = $1 AND NOT disabled"
            }
            false => {
                "UPDATE clients SET disabled = FALSE, suspended = FALSE, counter = counter + 1 \
                 WHERE partner_id = $1 AND suspended"
            }
        };
        let transaction = vec![
            Statement::new(
                "UPDATE partners SET suspended = $2 \
                 WHERE id = $1 AND COALESCE(suspended, FALSE) <> $2",
                vec![id.into(), off.into()],
            ),
            Statement::any(clients, vec![id.into()]),
        ];
        self.act(transaction, act).await
    }

    /// Partners behind the one of that id, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn partners_behind(
        &self,
        after: [u8; 16],
        limit: i64,
    ) -> Result<Vec<Partner>, StoreError> {
        let sql = format!("SELECT {COLUMNS} WHERE id > $1 AND id <> $2 ORDER BY id LIMIT $3");
        let values = vec![after.into(), COMPANY_ID.into(), limit.into()];
        self.engine.read(&sql, values).await?.into_iter().map(read_partner).collect()
    }

    /// The partner of that id.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn partner(&self, id: [u8; 16]) -> Result<Option<Partner>, StoreError> {
        let sql = format!("SELECT {COLUMNS} WHERE id = $1");
        let rows = self.engine.read(&sql, vec![id.into()]).await?;
        rows.into_iter().next().map(read_partner).transpose()
    }
}

pub(super) fn insert_partner(partner: &Partner) -> Statement {
    Statement::new(
        "INSERT INTO partners (id, name, contact, verified, created_at) \
         VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        vec![
            partner.id.into(),
            partner.name.as_str().into(),
            partner.contact.as_deref().into(),
            partner.verified.into(),
            partner.created_at.into(),
        ],
    )
}

fn read_partner(row: Row) -> Result<Partner, StoreError> {
    let mut row = row.columns("partners", "(being read)");
    Ok(Partner {
        id: row.array("id")?,
        name: row.text("name")?,
        contact: row.optional_text("contact")?,
        verified: row.boolean("verified")?,
        created_at: row.integer("created_at")?,
        suspended: row.optional_boolean("suspended")?.unwrap_or_default(),
    })
}
