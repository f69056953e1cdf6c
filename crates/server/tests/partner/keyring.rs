//! The key of connections in the keyring of a session: the one of GNOME, on a bus of its own.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::party::{Party, private_folder};

/// A session with a keyring, until its standard input ends.
const SESSION: &str = r#"
gnome-keyring-daemon --foreground $1 --components=secrets <"$HOME/passphrase" >/dev/null 2>&1 &
keyring=$!
until dbus-send --session --print-reply --dest=org.freedesktop.DBus / \
  org.freedesktop.DBus.NameHasOwner string:org.freedesktop.secrets 2>/dev/null | grep -q true
do sleep 0.1; done
echo "$DBUS_SESSION_BUS_ADDRESS"
cat >/dev/null
kill $keyring
wait $keyring
"#;

/// A session of a user who has a home.
struct Session {
    child: Child,
    address: String,
}

impl Session {
    /// With a keyring that is open, or one that waits for its passphrase.
    async fn start(home: &Path, is_open: bool) -> Session {
        std::fs::write(home.join("passphrase"), "a passphrase").unwrap();
        let unlock = if is_open { "--unlock" } else { "" };
        let mut child = Command::new("dbus-run-session")
            .args(["--", "sh", "-c", SESSION, "sh", unlock])
            .env("HOME", home)
            .env("XDG_RUNTIME_DIR", home)
            .env_remove("XDG_DATA_HOME")
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("dbus-run-session, of Debian's dbus-daemon");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await;
        let address = line.expect("gnome-keyring-daemon is not there").unwrap().unwrap();
        Session { child, address }
    }

    async fn end(mut self) {
        drop(self.child.stdin.take());
        tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await.unwrap().unwrap();
    }
}

fn key_file(party: &Party) -> PathBuf {
    party.connections_folder().join("key")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keyring_where_there_is_one_it_holds_the_key_and_nobody_is_asked_for_a_passphrase() {
    let home = private_folder();
    let session = Session::start(home.path(), true).await;
    let mut party = Party::new().await;
    party.session_bus = Some(session.address.clone());
    party.connect(&["--name", "mine"]).await.done();
    let named = std::fs::read_to_string(key_file(&party)).unwrap();
    assert!(named.starts_with("in the keyring under "), "{named}");
    let token = party.run(&["token"]).await.line();
    // A copy of the folder, or a process outside the session, reads nothing.
    party.session_bus = None;
    party.run(&["token"]).await.refused(&["in the keyring of your session, which is not there"]);
    party.run(&["token", "--key-file"]).await.refused(&["which is not there"]);
    session.end().await;

    let locked = Session::start(home.path(), false).await;
    party.session_bus = Some(locked.address.clone());
    party.run(&["token"]).await.refused(&["which is locked", "--key-file"]);
    locked.end().await;

    let open_again = Session::start(home.path(), true).await;
    party.session_bus = Some(open_again.address.clone());
    assert_eq!(party.run(&["token"]).await.line(), token);
    open_again.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keyring_where_it_is_locked_or_not_wanted_or_not_there_the_key_is_in_a_file() {
    let home = private_folder();
    Session::start(home.path(), true).await.end().await;
    let locked = Session::start(home.path(), false).await;
    let nobody = "unix:path=/nowhere".to_owned();
    for address in [locked.address.clone(), nobody] {
        let mut party = Party::new().await;
        party.session_bus = Some(address);
        party.connect(&["--name", "mine"]).await.done();
        assert_eq!(std::fs::read(key_file(&party)).unwrap().len(), 32);
        party.run(&["token"]).await.line();
    }
    locked.end().await;

    let open = Session::start(home.path(), true).await;
    let mut party = Party::new().await;
    party.session_bus = Some(open.address.clone());
    party.connect(&["--name", "mine", "--key-file"]).await.done();
    assert_eq!(std::fs::read(key_file(&party)).unwrap().len(), 32);
    open.end().await;
    party.run(&["token"]).await.line();
}
