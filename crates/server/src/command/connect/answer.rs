//! Opening the browser, and getting at what it was answered.

use std::io::{BufRead as _, IsTerminal as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use grantor_client::authorization::{AuthorizationCode, AuthorizationError, AuthorizationRequest};
use grantor_client::loopback::Loopback;
use grantor_client::mistake::Mistake;
use grantor_client::random::Random;
use zeroize::Zeroizing;

use super::page::Page;
use crate::command::Failure;
use crate::command::kept::mistaken;
use crate::command::output::say;

/// What opens an address on this system.
const OPENER: &str = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
/// No line that is pasted is longer, in bytes.
const MAX_PASTED_BYTES: u64 = 64 * 1024;

/// Opens the authorize URL, by this program or the system's own, and gives the page that leads there,
/// which is there until it is dropped. Without any program the URL is written. It is written too where
/// none opens it, or the browser cannot read the page: then a person does.
pub(super) fn open(
    request: &AuthorizationRequest,
    browser: Option<Option<&str>>,
    (folder, random): (&Path, &Random),
) -> Option<Page> {
    let Some(program) = browser else {
        say(request.url());
        return None;
    };
    let page = Page::lay(folder, request.url(), random).ok();
    let opened = page.as_ref().is_some_and(|page| opens(program.unwrap_or(OPENER), page));
    match opened {
        true => say("Your browser opens. If it does not, or shows an error, open this address:"),
        false => say("No browser could be opened. Open this address:"),
    }
    say(request.url());
    page
}

fn opens(program: &str, page: &Page) -> bool {
    let opened = Command::new(program)
        .arg(page.url())
        // A browser has many children of its own, and needs no secret of ours.
        .env_remove(super::SECRET_VARIABLE)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    opened.is_ok()
}

/// Waits for the redirect on this machine.
pub(super) async fn caught(
    loopback: &Loopback,
    request: &AuthorizationRequest,
    wait_seconds: u64,
) -> Result<AuthorizationCode, Failure> {
    say(&format!("Waiting for the answer at {}", loopback.redirect_uri()));
    match tokio::time::timeout(Duration::from_secs(wait_seconds), loopback.wait(request)).await {
        Ok(answer) => answer.map_err(|error| refused(&error)),
        Err(_) => Err(nobody_came(wait_seconds)),
    }
}

/// Takes what a person copied out of the browser.
pub(super) async fn pasted(
    request: &AuthorizationRequest,
    wait_seconds: u64,
) -> Result<AuthorizationCode, Failure> {
    if std::io::stdin().is_terminal() {
        say(&format!(
            "The browser ends at {}…. Paste that whole address here, or the code alone, and press Enter:",
            request.redirect_uri()
        ));
    }
    // A thread that waits for a line cannot be called back; it ends with the process.
    let reading = tokio::task::spawn_blocking(read_line);
    let line = match tokio::time::timeout(Duration::from_secs(wait_seconds), reading).await {
        Ok(Ok(line)) => line?,
        Ok(Err(error)) => {
            return Err(Failure::unexplained("standard input was not read").because(&error));
        }
        Err(_) => return Err(nobody_came(wait_seconds)),
    };
    request.pasted(&line).map_err(|error| refused(&error))
}

fn read_line() -> Result<Zeroizing<String>, Failure> {
    use std::io::Read as _;
    let mut line = Zeroizing::new(String::new());
    let read = std::io::stdin().lock().take(MAX_PASTED_BYTES).read_line(&mut line);
    match read {
        Ok(0) => Err(Failure::mendable("nothing was pasted, and standard input has ended").hint(
            "the redirect URI is not on this machine, so its address, or the code in it, has to be \
             pasted; with --redirect-uri http://127.0.0.1/callback it is caught by itself",
        )),
        Ok(_) => Ok(line),
        Err(error) => Err(Failure::mendable("standard input cannot be read").because(&error)),
    }
}

fn refused(error: &AuthorizationError) -> Failure {
    let failure = mistaken("no code came", Mistake::of_authorization(error)).because(error);
    match error {
        AuthorizationError::Refused(refusal) => match &refusal.uri {
            Some(uri) => failure.hint(format!("the server explains it at {uri}")),
            None => failure,
        },
        AuthorizationError::CodeMissing => {
            failure.hint("paste the whole address that the browser ended at, or what follows code=")
        }
        AuthorizationError::Parameters(_)
        | AuthorizationError::StateDiffers
        | AuthorizationError::IssuerDiffers { .. }
        | AuthorizationError::IssuerMissing => failure,
    }
}

/// A page of the server that redirects nowhere is seen by the customer alone.
fn nobody_came(wait_seconds: u64) -> Failure {
    Failure::mendable(format!("nobody came back within {wait_seconds} seconds"))
        .hint("if the browser shows an error, it says why: most often the redirect URI is not registered in these very bytes, or the client belongs to the other environment")
        .hint("--wait-seconds waits for longer")
}
