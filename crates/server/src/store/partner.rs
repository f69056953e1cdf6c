//! Partners, the organisations that integrate.

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

    /// All partners, the oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn partners(&self) -> Result<Vec<Partner>, StoreError> {
        let sql = format!("SELECT {COLUMNS} ORDER BY id");
        self.engine.read(&sql, vec![]).await?.into_iter().map(read_partner).collect()
    }

    /// A partner.
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
    })
}
