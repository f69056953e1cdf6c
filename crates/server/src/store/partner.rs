//! Partners, the organisations that integrate.

use super::api_client::COMPANY_ID;
use super::engine::{Row, Statement};
use super::{Store, StoreError};

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
    /// In Unix seconds.
    pub created_at: i64,
}

const COLUMNS: &str = "id, name, contact, verified, created_at FROM partners";

impl Store {
    /// Adds a partner.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn add_partner(&self, partner: &Partner) -> Result<bool, StoreError> {
        Ok(self.engine.write(vec![insert_partner(partner)]).await?.is_done())
    }

    /// All partners, the oldest first; this company's own row is none of them.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn partners(&self) -> Result<Vec<Partner>, StoreError> {
        self.partners_behind([0; 16], i64::MAX).await
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

fn read_partner(row: Row) -> Result<Partner, StoreError> {
    let mut row = row.columns("partners", "(being read)");
    Ok(Partner {
        id: row.array("id")?,
        name: row.text("name")?,
        contact: row.optional_text("contact")?,
        verified: row.boolean("verified")?,
        created_at: row.integer("created_at")?,
    })
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
