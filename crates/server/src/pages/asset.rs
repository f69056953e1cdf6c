//! The embedded files under their hashed names: `/assets/style.<hash>.css`.
//!
//! A name changes whenever its file does, so an answer may be cached for ever, and a page always
//! gets the stylesheet that it was written for.

use std::borrow::Cow;
use std::sync::LazyLock;

use rust_embed::{EmbeddedFile, RustEmbed};

#[derive(RustEmbed)]
#[folder = "assets/"]
struct Files;

struct Asset {
    /// `style.css`
    file: String,
    /// `/assets/style.0123456789abcdef.css`
    url: String,
    content_type: &'static str,
    bytes: Cow<'static, [u8]>,
}

/// Read once: a debug build reads the files from disk, and its hashes must not move under a page.
static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    Files::iter()
        .filter_map(|file| Files::get(&file).map(|found| named_by_hash(&file, found)))
        .collect()
});

/// The file at this URL path, and its content type. Only a name with the right hash is found.
pub(crate) fn asset(path: &str) -> Option<(Cow<'static, [u8]>, &'static str)> {
    let found = ASSETS.iter().find(|asset| asset.url == path)?;
    Some((found.bytes.clone(), found.content_type))
}

/// The URL path of the stylesheet.
pub(crate) fn stylesheet_url() -> &'static str {
    url_of("style.css")
}

/// The URL path of the icon in the browser's tab.
pub(crate) fn favicon_url() -> &'static str {
    url_of("favicon.svg")
}

fn url_of(file: &str) -> &'static str {
    let found = ASSETS.iter().find(|asset| asset.file == file);
    // A test below holds that both files are there.
    found.map_or("", |asset| asset.url.as_str())
}

fn named_by_hash(file: &str, found: EmbeddedFile) -> Asset {
    let digest = found.metadata.sha256_hash();
    let hash: String = digest[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    let (stem, extension) = file.rsplit_once('.').unwrap_or((file, "bin"));
    Asset {
        file: file.to_owned(),
        url: format!("/assets/{stem}.{hash}.{extension}"),
        content_type: content_type(extension),
        bytes: found.data,
    }
}

fn content_type(extension: &str) -> &'static str {
    match extension {
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "webp" => "image/webp",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::{asset, favicon_url, stylesheet_url};

    #[test]
    fn the_stylesheet_and_the_icon_are_served_under_their_hashed_names() {
        for (url, start, content_type) in [
            (stylesheet_url(), "/assets/style.", "text/css; charset=utf-8"),
            (favicon_url(), "/assets/favicon.", "image/svg+xml"),
        ] {
            assert!(url.starts_with(start), "{url}");
            let (bytes, found_type) = asset(url).expect("the asset is embedded");
            assert!(!bytes.is_empty());
            assert_eq!(found_type, content_type);
        }
    }

    #[test]
    fn a_name_without_the_right_hash_is_not_found() {
        assert!(asset("/assets/style.css").is_none());
        assert!(asset("/assets/style.0000000000000000.css").is_none());
        assert!(asset("/assets/../src/pages.rs").is_none());
    }
}
