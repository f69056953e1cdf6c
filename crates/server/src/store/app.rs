//! Clients as their partner sees them in the portal: apps. Each change and its entry in the audit log
//! are one transaction, and each names the partner whose client it has to be.

use grantor_protocol::client::SecretDigest;
use grantor_protocol::environment::Environment;
use grantor_protocol::redirect_uri::RedirectUri;
use grantor_protocol::scope::Scope;

use super::audit::Act;
use super::client::{ADD, COLUMNS, insert_client, read_client, remove};
use super::engine::{Statement, Value};
use super::version::version;
use super::{ClientRecord, NewClient, Store, StoreError};
use crate::journal::Ending;

/// What a partner may change of its client.
pub struct AppChange {
    /// Its environment.
    pub environment: Environment,
    /// Its id.
    pub client_id: String,
    /// The partner whose it has to be.
    pub partner_id: [u8; 16],
    /// What stands there now, as it was read: another's change in between is not overwritten.
    pub seen: ChangedApp,
    /// What is to stand there.
    pub new: ChangedApp,
}

/// The part of a client that its partner changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedApp {
    /// The app's name.
    pub name: String,
    /// Its web site.
    pub website: Option<String>,
    /// Whom customers can ask.
    pub support_contact: Option<String>,
    /// Where a code may go.
    pub redirect_uris: Vec<RedirectUri>,
    /// What it may ask for.
    pub scopes: Scope,
    /// What of that a customer may leave out.
    pub optional_scopes: Scope,
}

impl ChangedApp {
    /// As it stands in a client.
    pub fn of(record: &ClientRecord) -> ChangedApp {
        let client = &record.client;
        ChangedApp {
            name: client.name.clone(),
            website: client.website.clone(),
            support_contact: record.listing.support_contact.clone(),
            redirect_uris: client.redirect_uris.clone(),
            scopes: client.scopes.clone(),
            optional_scopes: client.optional_scopes.clone(),
        }
    }

    /// As it will stand in a client to be.
    pub fn of_new(client: &NewClient) -> ChangedApp {
        ChangedApp {
            name: client.name.clone(),
            website: client.website.clone(),
            support_contact: None,
            redirect_uris: client.redirect_uris.clone(),
            scopes: client.scopes.clone(),
            optional_scopes: client.optional_scopes.clone(),
        }
    }

    /// Names what stands here, all of it (`version.rs`).
    pub fn version(&self) -> String {
        let (uris, scopes, optional) =
            (self.uris(), self.scopes.to_string(), self.optional_scopes.to_string());
        let parts = [
            self.name.as_str(),
            self.website.as_deref().unwrap_or_default(),
            self.support_contact.as_deref().unwrap_or_default(),
            &uris,
            &scopes,
            &optional,
        ];
        version(parts)
    }

    fn uris(&self) -> String {
        let uris: Vec<&str> = self.redirect_uris.iter().map(RedirectUri::as_str).collect();
        uris.join(" ")
    }
}

impl Store {
    /// Makes a client. Answers whether its partner exists and has fewer than `most` clients in that
    /// environment.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn make_app(
        &self,
        client: &NewClient,
        (support_contact, secret_expires_at): (Option<&str>, Option<i64>),
        most: i64,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let described = Statement::new(
            "UPDATE clients SET support_contact = $3, secret_1_expires_at = $5 WHERE environment = $1 AND id = $2 \
             AND (SELECT COUNT(*) FROM clients o WHERE o.partner_id = clients.partner_id \
                  AND o.environment = $1) <= $4",
            vec![
                client.environment.as_str().into(),
                client.id.as_str().into(),
                support_contact.into(),
                most.into(),
                secret_expires_at.into(),
            ],
        );
        self.act(vec![insert_client(client, act.at), described], act).await
    }

    /// Changes what a partner says of its client, if all of it still is what was seen. The counter rises,
    /// and so its connections end, where it may do less than before.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn change_app(&self, change: &AppChange, act: &Act) -> Result<bool, StoreError> {
        let (seen, new) = (&change.seen, &change.new);
        let less = !seen.scopes.without(&new.scopes).is_empty();
        let fewer = seen.redirect_uris.iter().any(|uri| !new.redirect_uris.contains(uri));
        if less || fewer {
            self.note_narrowed(change.environment, &change.client_id).await?;
        }
        let statement = Statement::new(
            "UPDATE clients SET name = $4, website = $5, support_contact = $6, \
             redirect_uris = $7, scopes = $8, optional_scopes = $9, counter = counter + $10 \
             WHERE environment = $1 AND id = $2 AND partner_id = $3 \
             AND name = $11 AND COALESCE(website, '') = $12 \
             AND COALESCE(support_contact, '') = $13 \
             AND redirect_uris = $14 AND scopes = $15 AND optional_scopes = $16",
            vec![
                change.environment.as_str().into(),
                change.client_id.as_str().into(),
                change.partner_id.into(),
                new.name.as_str().into(),
                new.website.as_deref().into(),
                new.support_contact.as_deref().into(),
                new.uris().into(),
                new.scopes.to_string().into(),
                new.optional_scopes.to_string().into(),
                i64::from(less).into(),
                seen.name.as_str().into(),
                seen.website.as_deref().unwrap_or_default().into(),
                seen.support_contact.as_deref().unwrap_or_default().into(),
                seen.uris().into(),
                seen.scopes.to_string().into(),
                seen.optional_scopes.to_string().into(),
            ],
        );
        self.act(vec![statement], act).await
    }

    /// Notes that a client is about to lose a redirect URI or a scope.
    pub(super) async fn note_narrowed(
        &self,
        environment: Environment,
        client_id: &str,
    ) -> Result<(), StoreError> {
        self.note(Ending::ClientNarrowed { environment, client_id: client_id.to_owned() }).await
    }

    /// Adds a secret in the free one of two places, with an end where it is to have one. Answers in
    /// which; `None` where both are taken, or the client has no secrets at all.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn add_app_secret(
        &self,
        record: &ClientRecord,
        (secret, expires_at): (&(SecretDigest, String), Option<i64>),
        act: &Act,
    ) -> Result<Option<i64>, StoreError> {
        let client = &record.client;
        let (environment, id) = (client.environment, client.id.as_str());
        self.note(Ending::SecretChanged { environment, client_id: id.to_owned() }).await?;
        for (slot, sql) in (1..).zip(ADD) {
            let values = vec![
                environment.as_str().into(),
                id.into(),
                (*secret.0.as_bytes()).into(),
                secret.1.as_str().into(),
                act.at.into(),
                expires_at.into(),
            ];
            if self.act(vec![Statement::new(sql, values)], act).await? {
                return Ok(Some(slot));
            }
        }
        Ok(None)
    }

    /// Removes the secret in that place, unless it is the last one that works at `working_at`, in
    /// Unix seconds.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn remove_app_secret(
        &self,
        record: &ClientRecord,
        (slot, working_at): (i64, i64),
        act: &Act,
    ) -> Result<bool, StoreError> {
        let client = &record.client;
        let (environment, id) = (client.environment, client.id.as_str());
        self.note(Ending::SecretChanged { environment, client_id: id.to_owned() }).await?;
        let Some(sql) = remove(slot) else {
            return Ok(false);
        };
        let values = vec![environment.as_str().into(), id.into(), working_at.into()];
        self.act(vec![Statement::new(sql, values)], act).await
    }

    /// Switches a client off, which ends all its connections, or on again, which brings none back.
    /// Answers whether it was in the other state before.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn switch_app(
        &self,
        record: &ClientRecord,
        off: bool,
        act: &Act,
    ) -> Result<bool, StoreError> {
        let client = &record.client;
        let environment = client.environment;
        if off {
            self.note(Ending::ClientDisabled { environment, id: client.id.clone() }).await?;
        }
        let statement = Statement::new(
            "UPDATE clients SET disabled = $3, suspended = FALSE, counter = counter + 1 \
             WHERE environment = $1 AND id = $2 AND disabled <> $3",
            vec![environment.as_str().into(), client.id.as_str().into(), off.into()],
        );
        self.act(vec![statement], act).await
    }

    /// The clients of a partner in an environment, in the order of their ids, behind `after`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn apps_of(
        &self,
        partner_id: [u8; 16],
        environment: Environment,
        after: &str,
        limit: i64,
    ) -> Result<Vec<ClientRecord>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} WHERE c.partner_id = $1 AND c.environment = $2 AND c.id > $3 \
             ORDER BY c.id LIMIT $4"
        );
        let values =
            vec![partner_id.into(), environment.as_str().into(), after.into(), limit.into()];
        self.read_apps(&sql, values).await
    }

    /// All clients of an environment, in the order of their ids, behind `after`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn apps(
        &self,
        environment: Environment,
        after: &str,
        limit: i64,
    ) -> Result<Vec<ClientRecord>, StoreError> {
        let sql = format!(
            "SELECT {COLUMNS} WHERE c.environment = $1 AND c.id > $2 ORDER BY c.id LIMIT $3"
        );
        self.read_apps(&sql, vec![environment.as_str().into(), after.into(), limit.into()]).await
    }

    async fn read_apps(
        &self,
        sql: &str,
        values: Vec<Value>,
    ) -> Result<Vec<ClientRecord>, StoreError> {
        self.engine.read(sql, values).await?.into_iter().map(read_client).collect()
    }
}
