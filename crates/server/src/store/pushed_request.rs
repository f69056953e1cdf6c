//! Authorization requests that their clients pushed (RFC 9126): minutes long, and used once.
//!
//! The store holds a digest of the name alone, so that whoever reads the database can open none.

use aws_lc_rs::digest::{SHA256, digest};
use grantor_protocol::environment::Environment;
use grantor_protocol::pushed_request::RequestUri;

use super::client_key::client_key;
use super::engine::Statement;
use super::{Store, StoreError};

/// A request to be pushed.
#[derive(Clone, Copy)]
pub struct NewPushedRequest<'a> {
    /// Its environment.
    pub environment: Environment,
    /// Its name.
    pub request_uri: &'a RequestUri,
    /// The client.
    pub client_id: &'a str,
    /// The request, as a query.
    pub parameters: &'a str,
    /// The epoch.
    pub epoch: i64,
    /// In Unix seconds.
    pub expires_at: i64,
    /// In Unix seconds.
    pub now: i64,
    /// How many of its client may wait.
    pub at_most: i64,
}

impl Store {
    /// Stores a pushed request. Answers whether there was room for one more of its client.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn push_request(&self, request: &NewPushedRequest<'_>) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "INSERT INTO pushed_requests (environment, id, client_key, parameters, epoch, \
             expires_at) SELECT $1, $2, $3, $4, $5, $6 WHERE $8 > (SELECT COUNT(*) FROM \
             pushed_requests WHERE environment = $1 AND client_key = $3 AND expires_at > $7) \
             ON CONFLICT DO NOTHING",
            vec![
                request.environment.as_str().into(),
                id(request.request_uri).into(),
                client_key(request.client_id).into(),
                request.parameters.into(),
                request.epoch.into(),
                request.expires_at.into(),
                request.now.into(),
                request.at_most.into(),
            ],
        );
        Ok(self.engine.write(vec![statement]).await?.is_done())
    }

    /// The request that this client pushed under that name, if it was not used and its time is not
    /// over.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn pushed_request(
        &self,
        environment: Environment,
        (request_uri, client_id): (&RequestUri, &str),
        epoch: i64,
        now: i64,
    ) -> Result<Option<String>, StoreError> {
        let sql = "SELECT parameters FROM pushed_requests WHERE environment = $1 AND id = $2 \
                   AND client_key = $3 AND epoch = $4 AND expires_at > $5";
        let values = vec![
            environment.as_str().into(),
            id(request_uri).into(),
            client_key(client_id).into(),
            epoch.into(),
            now.into(),
        ];
        let rows = self.engine.read(sql, values).await?;
        rows.into_iter()
            .next()
            .map(|row| row.columns("pushed_requests", "(secret)").text("parameters"))
            .transpose()
    }

    /// Gives whoever opened it until `until`, in Unix seconds, to sign in and decide. Whoever opens
    /// it again gets no more time.
    ///
    /// # Errors
    /// [`StoreError`]
    pub async fn open_pushed_request(
        &self,
        environment: Environment,
        request_uri: &RequestUri,
        until: i64,
    ) -> Result<(), StoreError> {
        let statement = Statement::any(
            "UPDATE pushed_requests SET expires_at = $3, opened = TRUE \
             WHERE environment = $1 AND id = $2 AND opened IS NULL",
            vec![environment.as_str().into(), id(request_uri).into(), until.into()],
        );
        self.engine.write(vec![statement]).await.map(drop)
    }

    /// Uses a pushed request up, before its answer leaves. Answers whether it was this call that did.
    ///
    /// # Errors
    /// [`StoreError`]; then nobody knows, and no answer may leave.
    pub async fn use_pushed_request(
        &self,
        environment: Environment,
        request_uri: &RequestUri,
    ) -> Result<bool, StoreError> {
        let statement = Statement::new(
            "DELETE FROM pushed_requests WHERE environment = $1 AND id = $2",
            vec![environment.as_str().into(), id(request_uri).into()],
        );
        Ok(self.engine.write(vec![statement]).await?.is_done())
    }
}

fn id(request_uri: &RequestUri) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest(&SHA256, request_uri.as_bytes()).as_ref());
    bytes
}
