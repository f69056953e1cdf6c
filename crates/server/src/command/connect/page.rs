//! The page that leads a browser to the authorize URL.
//!
//! Every user of a machine can read the arguments of every process. Whoever reads `state` and
//! `code_challenge` in those of a browser can fetch a code for an account of their own that fits both,
//! and hand it in here before the customer does: the connection would then be theirs. So the browser is
//! given the name of a file that its user alone can read.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use askama::Template;
use grantor_client::random::Random;
use url::Url;
use zeroize::Zeroizing;

use crate::hex::{hex, unhex};

/// A page that is older belongs to a command that was killed: none waits for longer.
const OLD: Duration = Duration::from_secs(24 * 60 * 60);

/// How much of its name is drawn.
const ID_BYTES: usize = 16;

/// It leads on by itself, and by a link where a browser does not follow. A server may have named its
/// endpoint with anything in it.
#[derive(Template)]
#[template(path = "connect.html")]
struct Html<'a> {
    url: &'a str,
}

/// The file, which is removed when this is dropped.
pub(super) struct Page {
    path: PathBuf,
    url: Url,
}

impl Page {
    /// Lays the page for that URL into a folder that its owner alone can use, and removes old ones.
    pub(super) fn lay(folder: &Path, url: &str, random: &Random) -> io::Result<Page> {
        remove_old(folder);
        // Two commands may be here at once.
        let id = hex(random.bytes::<ID_BYTES>().as_slice());
        let path = std::path::absolute(folder)?.join(format!("authorize-{id}.html"));
        let no_path = |()| io::Error::other("the folder has no address");
        let page = Page { url: Url::from_file_path(&path).map_err(no_path)?, path };
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&page.path)?;
        let html = Zeroizing::new(Html { url }.render().map_err(io::Error::other)?);
        file.write_all(html.as_bytes())?;
        Ok(page)
    }

    /// Its address, with nothing of the request in it.
    pub(super) fn url(&self) -> &str {
        self.url.as_str()
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        // Where it is gone already, nothing is left to remove.
        let _ = std::fs::remove_file(&self.path);
    }
}

fn remove_old(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_old = entry.metadata().is_ok_and(|file| {
            let age = file.modified().ok().and_then(|written| written.elapsed().ok());
            file.is_file() && age.is_some_and(|age| age > OLD)
        });
        if is_old && is_page(&entry.file_name()) {
            // Another command may have been quicker.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn is_page(name: &OsStr) -> bool {
    let id = name.to_str().and_then(|name| name.strip_prefix("authorize-")?.strip_suffix(".html"));
    id.and_then(unhex).is_some_and(|id| id.len() == ID_BYTES)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn the_page_is_its_owners_alone_says_nothing_by_its_name_and_goes_with_its_command() {
        let folder = tempfile::tempdir().unwrap();
        let random = Random::system();
        let url = "https://as.example.com/?state=s&b=\"><script>";
        let lay = || Page::lay(folder.path(), url, &random).unwrap();
        let (one, two) = (lay(), lay());
        assert_ne!(one.url(), two.url());
        assert!(one.url().starts_with("file:///") && !one.url().contains("state"));
        let mode = std::fs::metadata(&one.path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600);
        let html = std::fs::read_to_string(&one.path).unwrap();
        assert!(
            html.contains("url=https://as.example.com/?state=s&#38;b=&#34;&#62;&#60;script&#62;\"")
        );
        drop((one, two));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_page_that_a_killed_command_left_goes_with_the_next_one_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let random = Random::system();
        let left = Page::lay(folder.path(), "https://as.example.com/", &random).unwrap();
        let id = "0123456789abcdef0123456789abcdef";
        let others = ["key", "authorize-mine.html", &format!("authorize-{id}.html.txt")]
            .map(|name| folder.path().join(name));
        let young = Page::lay(folder.path(), "https://as.example.com/", &random).unwrap();
        for path in &others {
            std::fs::write(path, "").unwrap();
        }
        for path in others.iter().chain([&left.path]) {
            let file = OpenOptions::new().write(true).open(path).unwrap();
            let written = file.metadata().unwrap().modified().unwrap();
            file.set_modified(written - OLD - Duration::from_secs(60)).unwrap();
        }
        let _next = Page::lay(folder.path(), "https://as.example.com/", &random).unwrap();
        assert!(!left.path.exists() && young.path.exists());
        assert!(others.iter().all(|path| path.exists()), "{others:?}");
    }
}
