//! The keys of the real program: two processes of `grantor serve` on one store, or one of dev, and
//! the operator's commands beside them.

use std::time::Duration;

use grantor::clock::Clock;
use grantor::keys::rotation::PUBLISHED_SECONDS;
use grantor_test_cluster::Cluster;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Child;

use crate::harness::{Answer, Browser, encode};
use crate::house::{House, text};
use crate::keys::key_id;
use crate::program::{Dev, Partner, grantor, new_browser, run};

const EMAIL: &str = "robin@example.com";
const PASSWORD: &str = "correct horse battery";
const REDIRECT_URI: &str = "https://mycompany.com/redirection/ikentoo";
/// How long a process may go on with keys that were changed, as the documents say.
const BOUND: Duration = Duration::from_secs(1);

/// An installation that two processes serve. They are killed when it is dropped.
struct Pair {
    house: House,
    _children: [Child; 2],
    /// The client's own side, before the one process and before the other.
    partners: [Partner; 2],
    browser: Browser,
    authorize_url: String,
}

impl Pair {
    /// Starts both on a store, `sqlite:…` or `postgres://…`, and connects one customer.
    async fn start(store: &str) -> Pair {
        let house = House::new();
        let ports = [(); 2].map(|()| grantor_test_cluster::free_port().unwrap());
        for (file, port) in ["grantor.toml", "other.toml"].into_iter().zip(ports) {
            let config = format!(
                "store = \"{store}\"\nmaster_key_file = \"master.key\"\n[environment.staging]\n\
                 base_url = \"http://127.0.0.1:{port}\"\nlisten = \"127.0.0.1:{port}\"\n"
            );
            house.write(file, &config);
        }
        let client = house.client();
        let customer = ["customer", "create", "--environment", "staging", "--email", EMAIL];
        house.run_with(&[&customer[..], &["--name", "Robin"]].concat(), PASSWORD).done();
        let business = ["customer", "add-business", "--environment", "staging", "--email", EMAIL];
        house.run(&[&business[..], &["--name", "Bistro", "--currency", "EUR"]].concat()).done();

        // At the same time: on a new store both want to make the first keys.
        let (one, other) = tokio::join!(serve(&house, "grantor.toml"), serve(&house, "other.toml"));
        let base_urls = ports.map(|port| format!("http://127.0.0.1:{port}"));
        let authorize_url = format!(
            "{}/oauth/authorize?client_id={}&response_type=code&redirect_uri={}",
            base_urls[0],
            text(&client, "client_id"),
            encode(REDIRECT_URI)
        );
        let browser = new_browser();
        let page = browser.get(&authorize_url).await;
        browser.sign_in_as(&page, EMAIL, PASSWORD).await;
        let target = browser.allow(&authorize_url).await;
        assert!(target.contains("code="), "{target}");
        let known = [text(&client, "client_id"), text(&client, "client_secret")];
        let partners = base_urls.map(|base_url| Partner::new(&base_url, known, REDIRECT_URI));
        Pair { house, _children: [one, other], partners, browser, authorize_url }
    }

    /// A code of the first process.
    async fn code(&self) -> String {
        self.partners[0].code(&self.browser, &self.authorize_url).await.unwrap()
    }

    /// Tokens of that process, for a code of the first.
    async fn tokens(&self, process: usize) -> Answer {
        let answer = self.partners[process].exchange(&self.code().await).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }

    /// Takes tokens from each process, and turns them at the other: all must succeed. Answers with
    /// the keys that sealed the first ones.
    async fn exchange_and_cross(&self) -> [u32; 2] {
        let mut keys = [0; 2];
        for (process, key) in keys.iter_mut().enumerate() {
            let tokens = self.tokens(process).await;
            *key = key_id(tokens.text("refresh_token"));
            let turned = self.partners[1 - process].refresh(tokens.text("refresh_token")).await;
            let turned = turned.unwrap();
            assert_eq!(turned.status, 200, "{turned:?}");
        }
        keys
    }

    /// Removes a key, and answers with the one that seals in its place.
    fn revoke(&self, key: u32) -> Option<u32> {
        let id = format!("{key:08x}");
        let revoke = ["key", "revoke", &id, "--environment", "staging", "--yes"];
        let revoked = self.house.json(&revoke);
        revoked["replaced_by"].as_str().map(|id| u32::from_str_radix(id, 16).unwrap())
    }

    async fn assert_refused_everywhere(&self, refresh_token: &str) {
        for partner in &self.partners {
            let answer = partner.refresh(refresh_token).await.unwrap();
            answer.assert_error(400, "invalid_grant", "This is not a refresh token of this server");
        }
    }
}

async fn serve(house: &House, file: &str) -> Child {
    let config = house.path(file);
    let mut command = grantor(&["serve", "--json", "--config", config.to_str().unwrap()]);
    command.env("GRANTOR_LOG", "error").stdout(std::process::Stdio::piped());
    let mut child = command.current_dir(house.folder()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await;
    assert!(line.expect("it is not ready").unwrap().is_some(), "it ended");
    child
}

async fn s27_d11_both_follow_a_rotation_from_the_command_line_and_no_token_ends(store: &str) {
    let pair = Pair::start(store).await;
    let [first, same] = pair.exchange_and_cross().await;
    assert_eq!(first, same, "the two made keys of their own");
    let before = pair.tokens(1).await;
    // They have the new master key too, or they could not open what comes next.
    pair.house.run(&["key", "rekey"]).done();
    let rotated = pair.house.json(&["key", "rotate", "--environment", "staging"]);
    let new = u32::from_str_radix(text(&rotated["rotated"][0], "id"), 16).unwrap();
    let seals_from = rotated["rotated"][0]["seals_from"].as_i64().unwrap();
    let clock = Clock::system();
    let mut seen = [0; 2];
    while clock.now() < seals_from + 1 {
        let began = clock.now();
        let keys = pair.exchange_and_cross().await;
        if clock.now() < seals_from {
            assert_eq!(keys, [first; 2], "it seals before everybody knows it");
            seen[0] += 1;
        } else if began >= seals_from {
            assert_eq!(keys, [new; 2], "they did not follow");
            seen[1] += 1;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?} in {PUBLISHED_SECONDS} s");
    let turned = pair.partners[0].refresh(before.text("refresh_token")).await.unwrap();
    assert_eq!(turned.status, 200, "{turned:?}");
    assert_eq!(key_id(turned.text("refresh_token")), new);
}

async fn a_leaked_key_is_dropped_by_both_within_a_second_and_one_other_seals(store: &str) {
    let pair = Pair::start(store).await;
    for _ in 0..2 {
        let (leaked, pending) = (pair.tokens(1).await, pair.code().await);
        let leaked = leaked.text("refresh_token");
        let new = pair.revoke(key_id(leaked)).expect("nothing seals any more");
        tokio::time::sleep(BOUND).await;
        pair.assert_refused_everywhere(leaked).await;
        let refused = pair.partners[1].exchange(&pending).await.unwrap();
        refused.assert_error(400, "invalid_grant", "This is not a code of this server");
        assert_eq!(pair.exchange_and_cross().await, [new; 2]);
    }
}

#[tokio::test]
async fn the_program_rotates_and_revokes_under_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let path = data.to_str().unwrap();
    let dev = Dev::start(&data, &[]).await;
    let partner = dev.partner();
    let browser = partner.browser(&dev.authorize_url("")).await;
    let code = partner.code(&browser, &dev.authorize_url("")).await.unwrap();
    let tokens = partner.exchange(&code).await.unwrap();
    let first = format!("{:08x}", key_id(tokens.text("access_token")));

    let rotated = run(&["key", "rotate", "--all", "--data", path]).await;
    assert!(rotated.status.success(), "{rotated:?}");
    tokio::time::sleep(Duration::from_secs(PUBLISHED_SECONDS as u64 + 1)).await;
    assert_eq!(partner.api(tokens.text("access_token")).await, 200);
    let turned = partner.refresh(tokens.text("refresh_token")).await.unwrap();
    assert_eq!(turned.status, 200, "{turned:?}");
    assert_ne!(format!("{:08x}", key_id(turned.text("access_token"))), first);

    let revoke = ["key", "revoke", &first, "--environment", "staging", "--data", path, "--yes"];
    let revoked = run(&revoke).await;
    assert!(revoked.status.success(), "{revoked:?}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(partner.api(tokens.text("access_token")).await, 401);
    assert_eq!(partner.api(turned.text("access_token")).await, 200);

    let rekeyed = run(&["key", "rekey", "--data", path]).await;
    assert!(rekeyed.status.success(), "{rekeyed:?}");
    let words = String::from_utf8(rekeyed.stdout).unwrap();
    assert!(words.contains("installation.key_check      1"), "{words}");
    assert!(words.contains("sealing_keys.encrypted      5"), "{words}");
    assert_eq!(partner.api(turned.text("access_token")).await, 200);
    dev.kill().await;
    let dev = Dev::start(&data, &[]).await;
    let partner = partner.moved_to(&dev);
    assert_eq!(partner.api(turned.text("access_token")).await, 200);
    let turned = partner.refresh(turned.text("refresh_token")).await.unwrap();
    assert_eq!(turned.status, 200, "{turned:?}");
}

/// The same tests on each engine.
macro_rules! on_both_stores {
    ($($name:ident,)*) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name("sqlite:grantor.db").await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let database = super::Cluster::shared_database().unwrap();
                super::$name(&database.url()).await;
            })*
        }
    };
}

on_both_stores! {
    s27_d11_both_follow_a_rotation_from_the_command_line_and_no_token_ends,
    a_leaked_key_is_dropped_by_both_within_a_second_and_one_other_seals,
}
