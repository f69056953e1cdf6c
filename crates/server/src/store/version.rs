//! Versions of what two people may change at once. A version is made of the values alone, so that
//! whatever writes them need not know of it.

use aws_lc_rs::digest::{Context, SHA256};

use crate::hex::hex;

/// No version is longer, in characters: 128 bits of a digest.
const CHARACTERS: usize = 32;

/// Names these values, all of them: whoever changes one changes the version too.
pub(super) fn version<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    let mut context = Context::new(&SHA256);
    for value in values {
        // Each with its length before it: no two lists of values give one text.
        context.update(&(value.len() as u64).to_be_bytes());
        context.update(value.as_bytes());
    }
    let mut version = hex(context.finish().as_ref());
    version.truncate(CHARACTERS);
    version
}
