//! Clients that nobody registered: their id is the address of a document in which they describe
//! themselves (OAuth Client ID Metadata Document).
//!
//! 1. fetch the document, with all care (`outbound.rs`);
//! 2. parse: the same rules as where anybody may register, and no secret: everybody can read it;
//! 3. commit: a row like any other client's, changed when the document has changed. What it may do
//!    became less: its connections end.
//!
//! It happens where a client begins something: at `/oauth/authorize` and at `/oauth/par`, which is
//! where it may begin. Elsewhere the row speaks.

use aws_lc_rs::digest::{SHA256, digest};
use grantor_protocol::authorize_error::PageFault;
use grantor_protocol::client_metadata::{ClientMetadata, MetadataFault};
use grantor_protocol::token_error::TokenError;
use url::Url;

use super::client_call::unavailable;
use super::register::{NoClient, add_nobody, new_client, within};
use super::request::RequestId;
use crate::outbound::{ChosenBy, OutboundFault};
use crate::site::Site;
use crate::store::{MOST_SELF_REGISTERED, RegisteredBy, StoreError};

/// Why a client that is known by its document is not known now.
pub(super) enum DocumentFault {
    Fetch(OutboundFault),
    Metadata(MetadataFault),
    /// somebody of the company switched it off, or has a client of that id
    NotItsOwn,
    /// there are too many
    Full,
    Store(StoreError),
}

impl From<StoreError> for DocumentFault {
    fn from(error: StoreError) -> DocumentFault {
        DocumentFault::Store(error)
    }
}

impl DocumentFault {
    /// What a person reads at `/oauth/authorize`, but for a fault of the store.
    pub(super) fn for_page(self) -> Result<PageFault, StoreError> {
        let why = match self {
            DocumentFault::Fetch(fault) => fault.words().to_owned(),
            DocumentFault::Metadata(fault) => fault.words(),
            DocumentFault::NotItsOwn => return Ok(PageFault::ClientDisabled),
            DocumentFault::Full => "No more apps can be known here just now.".to_owned(),
            DocumentFault::Store(error) => return Err(error),
        };
        Ok(PageFault::ClientDocument { why })
    }
}

/// Whether an id is the address of a document that may be looked at here.
pub(super) fn names_document(site: &Site, client_id: &str) -> bool {
    let is_address = client_id.starts_with("https://") || client_id.starts_with("http://");
    // The draft: an address of nothing but a host is none.
    let has_path = || Url::parse(client_id).is_ok_and(|url| url.path() != "/");
    site.settings.client_id_metadata_documents
        && is_address
        && has_path()
        && site.outbound.takes(client_id)
}

/// Makes the row of a client say what its document says.
///
/// # Errors
/// [`DocumentFault`]
pub(super) async fn bring(site: &Site, client_id: &str) -> Result<(), DocumentFault> {
    // 1. Fetch.
    let document = site.outbound.document(ChosenBy::Stranger, client_id).await;
    let document = document.map_err(DocumentFault::Fetch)?;
    let found = site.store.client_seen_from(site.environment, client_id).await?;
    let found = found.filter(|record| record.client.environment == site.environment);
    let former = match &found {
        None => None,
        Some(record) if record.registration.by != RegisteredBy::Document => {
            return Err(DocumentFault::NotItsOwn);
        }
        Some(record) if record.client.disabled => return Err(DocumentFault::NotItsOwn),
        Some(record) => record.registration.token_digest,
    };
    let mut seen = [0; 32];
    seen.copy_from_slice(digest(&SHA256, &document).as_ref());
    if former == Some(seen) {
        return Ok(());
    }
    // 2. Parse.
    let metadata = parse(site, client_id, &document)?;
    // 3. Commit.
    let mut client = new_client(site, &metadata, seen);
    client.id = client_id.to_owned();
    client.website = Some(client_id.to_owned());
    client.registration.by = RegisteredBy::Document;
    let Some(former) = former else {
        if site.store.self_registered(site.environment).await? >= MOST_SELF_REGISTERED {
            return Err(DocumentFault::Full);
        }
        add_nobody(site).await?;
        // Another process may have been first: its row says the same.
        site.store.add_client(&client, site.clock.now()).await?;
        tracing::info!(client.id = client.id, "client_document.known");
        return Ok(());
    };
    if site.store.replace_client_document(&client, former).await? {
        tracing::info!(client.id = client.id, "client_document.changed");
    }
    Ok(())
}

/// The same for a call of the client itself. A document that cannot be taken is no reason to refuse a
/// client that is known already; one that is not stays a stranger.
///
/// # Errors
/// [`TokenError::Unavailable`] where the store failed.
pub(super) async fn bring_for_call(
    site: &Site,
    request_id: &RequestId,
    client_id: &str,
) -> Result<(), TokenError> {
    if !names_document(site, client_id) {
        return Ok(());
    }
    match bring(site, client_id).await {
        Err(DocumentFault::Store(error)) => Err(unavailable(request_id)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn parse(site: &Site, client_id: &str, document: &[u8]) -> Result<ClientMetadata, DocumentFault> {
    let metadata = |fault| DocumentFault::Metadata(fault);
    let parsed = ClientMetadata::parse_published(client_id, document).map_err(metadata)?;
    match within(site, parsed) {
        Ok(parsed) => Ok(parsed),
        Err(NoClient::Metadata(fault)) => Err(metadata(fault)),
        Err(_) => Err(metadata(MetadataFault::NotAnObject)),
    }
}
