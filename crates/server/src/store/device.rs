//! Devices that wait for their users (RFC 8628): minutes long.
//!
//! The store holds a digest of the device code, so whoever reads the database gets no tokens. The
//! decision is one write, together with the grant that it makes.

use aws_lc_rs::digest::{SHA256, digest};
use grantor_protocol::device::{
    DeviceAuthorization, DeviceDecision, INTERVAL_SECONDS, SLOWER_BY_SECONDS, UserCode,
};
use grantor_protocol::environment::Environment;

use super::consent::{self, NewConsent};
use super::engine::{Columns, Statement};
use super::{NewGrant, Store, StoreError};

/// No device has to wait longer between two calls, in seconds.
const MAX_INTERVAL_SECONDS: i64 = 60;

/// A device that begins to wait.
#[derive(Clone, Copy)]
pub struct NewDevice<'a> {
    /// Its environment.
    pub environment: Environment,
    /// Its device code.
    pub device_code: &'a str,
    /// What it shows.
    pub user_code: &'a UserCode,
    /// What it waits for.
    pub authorization: &'a DeviceAuthorization,
    /// The epoch.
    pub epoch: i64,
    /// How many of its client may wait.
    pub at_most: i64,
}

/// A device that its user looks at.
#[derive(Clone, Debug)]
pub struct WaitingDevice {
    /// Which one: a digest of its device code.
    pub id: [u8; 32],
    /// What it waits for.
    pub authorization: DeviceAuthorization,
}

const COLUMNS: &str = "d.id, c.id, d.scope, d.resources, d.requested_from, d.interval_seconds, \
     d.polled_at, d.decided_at, d.allowed, d.grant_id, d.created_at, d.expires_at";
const FROM: &str = "device_authorizations d \
     JOIN clients c ON c.environment = d.environment AND c.key = d.client_key";

/// A decision is taken once, in time, and while the client stands as it stood.
const UNDECIDED: &str = "WHERE environment = $1 AND id = $2 AND decided_at IS NULL \
     AND expires_at > $3 AND epoch = $4 AND client_counter = (SELECT counter FROM clients \
       WHERE environment = $1 AND key = device_authorizations.client_key AND NOT disabled)";

impl Store {
    /// Adds a device that waits. Answers whether its client stands and has room for
    /// one more, and its user code was free.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn add_device(&self, device: &NewDevice<'_>) -> Result<bool, StoreError> {
        let waiting = device.authorization;
        let statement = Statement::new(
            "INSERT INTO device_authorizations (environment, id, user_code, client_key, \
             client_counter, scope, resources, requested_from, interval_seconds, epoch, \
             created_at, expires_at) \
             SELECT $1, $2, $3, key, counter, $5, $6, $7, $8, $9, $10, $11 FROM clients \
             WHERE environment = $1 AND id = $4 AND NOT disabled \
             AND $12 > (SELECT COUNT(*) FROM device_authorizations d WHERE d.environment = $1 \
               AND d.client_key = clients.key AND d.expires_at > $10) \
             ON CONFLICT DO NOTHING",
            vec![
                device.environment.as_str().into(),
                device_id(device.device_code).into(),
                device.user_code.canonical().into(),
                waiting.client_id.as_str().into(),
                waiting.scope.to_string().into(),
                consent::written(&waiting.resources).into(),
                waiting.requested_from.as_str().into(),
                INTERVAL_SECONDS.into(),
                device.epoch.into(),
                waiting.created_at.into(),
                waiting.expires_at.into(),
                device.at_most.into(),
            ],
        );
        Ok(self.engine.write(vec![statement]).await?.is_done())
    }

    /// The device of that device code, decided or not.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn device(
        &self,
        environment: Environment,
        device_code: &str,
        epoch: i64,
    ) -> Result<Option<WaitingDevice>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM {FROM} \
             WHERE d.environment = $1 AND d.id = $2 AND d.epoch = $3"
        );
        let values = vec![environment.as_str().into(), device_id(device_code).into(), epoch.into()];
        let rows = self.engine.read(&sql, values).await?;
        rows.into_iter().next().map(|row| read(row.columns("devices", "(secret)"))).transpose()
    }

    /// The device that shows that code and still waits.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn waiting_device(
        &self,
        environment: Environment,
        user_code: &UserCode,
        epoch: i64,
        now: i64,
    ) -> Result<Option<WaitingDevice>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM {FROM} WHERE d.environment = $1 AND d.user_code = $2 \
             AND d.epoch = $3 AND d.expires_at > $4 AND d.decided_at IS NULL AND NOT c.disabled"
        );
        let values = vec![
            environment.as_str().into(),
            user_code.canonical().into(),
            epoch.into(),
            now.into(),
        ];
        let rows = self.engine.read(&sql, values).await?;
        rows.into_iter().next().map(|row| read(row.columns("devices", "(code)"))).transpose()
    }

    /// Notes that a device asked, and makes one that asks too often wait longer: one statement, so
    /// that it holds whichever process it asks.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn note_poll(
        &self,
        environment: Environment,
        id: [u8; 32],
        now: i64,
    ) -> Result<(), StoreError> {
        let statement = Statement::any(
            "UPDATE device_authorizations SET polled_at = $3, interval_seconds = CASE \
             WHEN polled_at IS NOT NULL AND $3 >= polled_at AND $3 - polled_at < interval_seconds \
               AND interval_seconds < $4 THEN interval_seconds + $5 \
             ELSE interval_seconds END \
             WHERE environment = $1 AND id = $2 AND decided_at IS NULL",
            vec![
                environment.as_str().into(),
                id.into(),
                now.into(),
                MAX_INTERVAL_SECONDS.into(),
                SLOWER_BY_SECONDS.into(),
            ],
        );
        self.engine.write(vec![statement]).await.map(drop)
    }

    /// Allows a device: its decision, its grant and the consent, in one write. Answers whether it
    /// still waited, and all stood as it was read.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn allow_device(
        &self,
        id: [u8; 32],
        grant: &NewGrant,
        given: &NewConsent,
        [epoch, now]: [i64; 2],
    ) -> Result<bool, StoreError> {
        let decide = Statement::new(
            &ALLOW,
            vec![
                grant.environment.as_str().into(),
                id.into(),
                now.into(),
                epoch.into(),
                grant.id.into(),
            ],
        );
        self.allow_and(grant, Some(given), [epoch, now], Some(decide)).await
    }

    /// Refuses a device. Answers whether it still waited.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn deny_device(
        &self,
        environment: Environment,
        id: [u8; 32],
        epoch: i64,
        now: i64,
    ) -> Result<bool, StoreError> {
        let values = vec![environment.as_str().into(), id.into(), now.into(), epoch.into()];
        Ok(self.engine.write(vec![Statement::new(&DENY, values)]).await?.is_done())
    }
}

static ALLOW: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    format!(
        "UPDATE device_authorizations SET decided_at = $3, allowed = TRUE, grant_id = $5 {UNDECIDED}"
    )
});
static DENY: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
    format!("UPDATE device_authorizations SET decided_at = $3, allowed = FALSE {UNDECIDED}")
});

fn read(mut row: Columns) -> Result<WaitingDevice, StoreError> {
    let id = row.array("id")?;
    let client_id = row.text("client_id")?;
    let scope = consent::scope(&mut row, "scope")?;
    let resources = consent::resources(&mut row)?;
    let requested_from = row.text("requested_from")?;
    let interval_seconds = row.integer("interval_seconds")?;
    let polled_at = row.optional_integer("polled_at")?;
    let decided_at = row.optional_integer("decided_at")?;
    let allowed = row.optional_boolean("allowed")?;
    let grant_id = row.optional_array("grant_id")?;
    let decision = match (decided_at, allowed, grant_id) {
        (None, _, _) => None,
        (Some(_), Some(true), Some(grant_id)) => Some(DeviceDecision::Allowed { grant_id }),
        (Some(_), Some(false), _) => Some(DeviceDecision::Denied),
        (Some(_), _, _) => return Err(row.corrupt("allowed")),
    };
    let authorization = DeviceAuthorization {
        client_id,
        scope,
        resources,
        requested_from,
        interval_seconds,
        polled_at,
        decision,
        created_at: row.integer("created_at")?,
        expires_at: row.integer("expires_at")?,
    };
    Ok(WaitingDevice { id, authorization })
}

fn device_id(device_code: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, device_code.as_bytes()).as_ref());
    bytes
}
