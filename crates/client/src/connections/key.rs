//! The key under which connections are encrypted. The file `key` holds it, or says by which id the
//! keyring of the user's session does.

use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::{KeepingError, folder};
use crate::random::Random;

/// What stands before the id of a key that is in the keyring; no key of 32 bytes is as long as both.
const IN_KEYRING: &[u8] = b"in the keyring under ";

/// 32 bytes that do not print.
#[derive(Clone)]
pub(super) struct Key(Zeroizing<[u8; 32]>);

impl Key {
    /// Reads the key of a folder. The first process draws it; of several at once, one.
    pub(super) fn read_or_make(
        folder: &Path,
        keyring: Option<&str>,
        random: &Random,
    ) -> Result<Key, KeepingError> {
        let path = folder.join("key");
        if let Some(key) = Key::read(&path, keyring)? {
            return Ok(key);
        }
        let key = random.bytes::<32>();
        let id: String = random.bytes::<16>().iter().map(|byte| format!("{byte:02x}")).collect();
        // One file says the one or the other, so that two processes which differ in what they can
        // reach end with one key. What the loser put into the keyring, nothing was encrypted under.
        let content = match in_keyring::keep(keyring, &id, key.as_slice()) {
            true => Zeroizing::new([IN_KEYRING, id.as_bytes()].concat()),
            false => Zeroizing::new(key.to_vec()),
        };
        // A name of its own, because two processes may be here at once.
        let beside = PathBuf::from(format!("{}.{id}", path.display()));
        folder::write_first(&path, &beside, &content)?;
        let kept = Key::read(&path, keyring)?;
        kept.ok_or(KeepingError::NoKey { path })
    }

    fn read(path: &Path, keyring: Option<&str>) -> Result<Option<Key>, KeepingError> {
        let Some(content) = folder::read(path)? else {
            return Ok(None);
        };
        let no_key = || KeepingError::NoKey { path: path.to_owned() };
        let bytes = match content.strip_prefix(IN_KEYRING) {
            None => content,
            Some(id) => {
                let id = std::str::from_utf8(id).map_err(|_| no_key())?;
                in_keyring::find(keyring, id)
                    .map_err(|why| KeepingError::Keyring { path: path.to_owned(), why })?
            }
        };
        let key = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| no_key())?;
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

#[cfg(feature = "keyring")]
mod in_keyring {
    use super::Zeroizing;
    use crate::connections::keyring;

    /// What the keyring holds under an id, or why it does not say, in words behind "which".
    pub(super) fn find(address: Option<&str>, id: &str) -> Result<Zeroizing<Vec<u8>>, String> {
        let address = address.ok_or("is not there")?;
        keyring::find(address, id).map_err(|error| error.to_string())
    }

    /// Whether there is a keyring that took it. Whatever is wrong with one, a file takes its place.
    pub(super) fn keep(address: Option<&str>, id: &str, key: &[u8]) -> bool {
        address.is_some_and(|address| keyring::keep(address, id, key).is_ok())
    }
}

#[cfg(not(feature = "keyring"))]
mod in_keyring {
    use super::Zeroizing;

    pub(super) fn find(_address: Option<&str>, _id: &str) -> Result<Zeroizing<Vec<u8>>, String> {
        Err("this program was built without".to_owned())
    }

    pub(super) fn keep(_address: Option<&str>, _id: &str, _key: &[u8]) -> bool {
        false
    }
}
