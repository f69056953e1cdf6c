//! The key under which connections are encrypted.

use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::{KeepingError, folder};
use crate::random::Random;

/// 32 bytes that do not print.
#[derive(Clone)]
pub(super) struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// Reads the key of a folder. The first process draws it; of several at once, one.
    pub(super) fn read_or_make(path: &Path, random: &Random) -> Result<Key, KeepingError> {
        if let Some(key) = Key::read(path)? {
            return Ok(key);
        }
        // A name of its own, because two processes may be here at once.
        let own: String = random.bytes::<8>().iter().map(|byte| format!("{byte:02x}")).collect();
        let beside = PathBuf::from(format!("{}.{own}", path.display()));
        folder::write_first(path, &beside, random.bytes::<32>().as_slice())?;
        Key::read(path)?.ok_or_else(|| KeepingError::NoKey { path: path.to_owned() })
    }

    fn read(path: &Path) -> Result<Option<Key>, KeepingError> {
        let Some(bytes) = folder::read(path)? else {
            return Ok(None);
        };
        let key = <[u8; 32]>::try_from(bytes.as_slice());
        let key = key.map_err(|_| KeepingError::NoKey { path: path.to_owned() })?;
        Ok(Some(Key(Zeroizing::new(key))))
    }

    /// Encrypts, bound to what it is and where it stands.
    pub(super) fn encrypt(&self, context: &str, plain: &[u8], random: &Random) -> Vec<u8> {
        let nonce = random.bytes::<NONCE_LEN>();
        let mut sealed = Zeroizing::new(plain.to_vec());
        let done = self.cipher().seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(context.as_bytes()),
            &mut sealed,
        );
        match done {
            Ok(tag) => [nonce.as_slice(), &sealed, tag.as_ref()].concat(),
            // Sealing fails only past 64 GiB; an empty answer can never be decrypted.
            Err(_) => Vec::new(),
        }
    }

    /// Decrypts what was encrypted in the same context; `None` where it was not, or was changed.
    pub(super) fn decrypt(&self, context: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut buffer = Zeroizing::new(sealed.to_vec());
        let aad = Aad::from(context.as_bytes());
        let length = self.cipher().open_in_place(nonce, aad, &mut buffer).ok()?.len();
        buffer.truncate(length);
        Some(buffer)
    }

    #[expect(clippy::expect_used, reason = "the key has the 32 bytes that the cipher takes")]
    fn cipher(&self) -> LessSafeKey {
        LessSafeKey::new(UnboundKey::new(&AES_256_GCM_SIV, self.0.as_slice()).expect("32 bytes"))
    }
}
