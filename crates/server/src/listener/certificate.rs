//! The certificate of a listener, read again when its files change: on SIGHUP, and by a look at
//! them every few seconds, because certificate renewers do not all send signals.
//!
//! New files that cannot be used are logged, and the certificate that works is kept.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum_server::tls_rustls::RustlsConfig;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::signal::unix::{SignalKind, signal};

use super::{ListenError, TlsFiles};

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(3);

/// A certificate in use.
pub(super) struct Certificate {
    files: TlsFiles,
    config: RustlsConfig,
    seen: Mutex<Option<Marks>>,
}

/// What tells that a file is another than before: device, inode, size, and time of change.
type Mark = (u64, u64, u64, i64, i64);
type Marks = (Mark, Mark);

impl Certificate {
    /// Reads it for the first time.
    pub(super) fn load(files: TlsFiles) -> Result<Certificate, ListenError> {
        // Before reading: what changes in between is seen as a change at the next look.
        let seen = marks(&files);
        match read(&files) {
            Ok(config) => Ok(Certificate {
                files,
                config: RustlsConfig::from_config(config),
                seen: Mutex::new(seen),
            }),
            Err(why) => Err(ListenError::Certificate { files, why }),
        }
    }

    /// The configuration that follows each reload.
    pub(super) fn current(&self) -> RustlsConfig {
        self.config.clone()
    }

    /// Reloads whenever the files change, for ever.
    pub(super) async fn watch(&self) {
        let mut hangup = signal(SignalKind::hangup()).ok();
        let mut look = tokio::time::interval(LOOK_INTERVAL);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let asked = async {
                match &mut hangup {
                    Some(hangup) => hangup.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = look.tick() => self.look(),
                _ = asked => self.reload(),
            }
        }
    }

    /// Reloads where the files changed since the last look.
    fn look(&self) {
        let found = marks(&self.files);
        // Gone for a moment, while somebody replaces them.
        if found.is_none() {
            return;
        }
        let changed = {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *seen, found) != found
        };
        if changed {
            self.reload();
        }
    }

    fn reload(&self) {
        let file = self.files.certificate.display();
        match read(&self.files) {
            Ok(config) => {
                self.config.reload_from_config(config);
                tracing::info!(certificate.file = %file, "certificate.reloaded");
            }
            Err(why) => {
                tracing::error!(certificate.file = %file, error = why, "certificate.kept_the_old_one");
            }
        }
    }
}

fn marks(files: &TlsFiles) -> Option<Marks> {
    let mark = |path: &Path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
    };
    Some((mark(&files.certificate)?, mark(&files.key)?))
}

/// Reads and checks both files. The words never quote the key's file.
fn read(files: &TlsFiles) -> Result<Arc<ServerConfig>, String> {
    let open =
        |path: &Path| std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()));
    let chain = open(&files.certificate)?;
    let key = zeroize::Zeroizing::new(open(&files.key)?);
    let chain = CertificateDer::pem_slice_iter(&chain)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("{}: {error}", files.certificate.display()))?;
    if chain.is_empty() {
        return Err(format!("{}: it holds no certificate", files.certificate.display()));
    }
    let key = PrivateKeyDer::from_pem_slice(&key)
        .map_err(|_| format!("{}: it holds no private key in PEM form", files.key.display()))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| error.to_string())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests;
