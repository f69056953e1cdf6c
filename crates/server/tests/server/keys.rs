//! Sealing keys that come and go under a running server.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use grantor::clock::Clock;
use grantor::config::Config;
use grantor::keys::Keys;
use grantor::keys::rotation::{
    KeyRecord, KeyState, LIFE_SECONDS, PUBLISHED_SECONDS, list, remove_ended, revoke, rotate,
};
use grantor::master_key::MasterKey;
use grantor::metrics::SiteMetrics;
use grantor::outbound::{Outbound, Reach};
use grantor::password::Passwords;
use grantor::random::Random;
use grantor::request_log::RequestLog;
use grantor::seal::{NotThisSeal, RefreshSeal, Ring, Sealer, SealingKey};
use grantor::site::{Settings, Site};
use grantor::store::{Address, Store};
use grantor::throttle::{Limits, Throttle};
use grantor::trials::Trials;
use grantor::usage::Usage;
use grantor_protocol::environment::Environment;
use grantor_test_cluster::Cluster;

use crate::calls::{assert_opens, issue};
use crate::harness::{START, Server};

const STAGING: Environment = Environment::Staging;
const DAY: i64 = 24 * 3600;
/// A refresh token of nobody's grant.
const SEAL: RefreshSeal = RefreshSeal { grant_id: [1; 16], generation: 2, expires_at: START + 9 };

/// The keys of a server's store, and other processes on it.
struct House {
    server: Server,
    store: Store,
}

impl House {
    fn of(server: Server) -> House {
        House { store: server.staging.store.clone(), server }
    }

    /// What another server process holds, with connections of its own.
    async fn process(&self) -> Keys {
        let (server, random) = (&self.server, Random::system());
        let store = Store::open(&server.address(), &server.clock).await.unwrap();
        Keys::open(&store, &server.master_key, &server.clock, &random).await.unwrap()
    }

    async fn rotate(&self) -> KeyRecord {
        let (store, master_key) = (&self.store, &self.server.master_key);
        rotate(store, master_key, STAGING, (&self.server.clock, &Random::system()), None)
            .await
            .unwrap()
            .key
    }

    async fn revoke(&self, id: u32) -> Option<KeyRecord> {
        let (store, master_key) = (&self.store, &self.server.master_key);
        revoke(store, master_key, (STAGING, id), (&self.server.clock, &Random::system()), None)
            .await
            .unwrap()
    }

    async fn list(&self) -> Vec<KeyRecord> {
        list(&self.store, STAGING, self.server.clock.now()).await.unwrap()
    }

    /// A site of that process, which nobody serves and whose keys nobody watches.
    fn site(&self, keys: &Keys) -> Site {
        let random = Random::system();
        Site {
            environment: STAGING,
            base_url: "http://localhost".to_owned(),
            settings: Settings::default(),
            store: self.store.clone(),
            sealer: keys.sealer(STAGING),
            other_sealer: keys.sealer(Environment::Production),
            signer: keys.signer(STAGING),
            keys: keys.clone(),
            throttle: Throttle::new(
                self.store.clone(),
                STAGING,
                keys.sealer(STAGING),
                self.server.clock.clone(),
                Limits::default(),
            ),
            passwords: Passwords::start(1, random.clone()).unwrap(),
            usage: Usage::default(),
            request_log: RequestLog::default(),
            trials: Trials::of(STAGING),
            metrics: SiteMetrics::default(),
            outbound: Outbound::new(Reach::ThisMachine, self.server.clock.clone()),
            clock: self.server.clock.clone(),
            random,
            dev: None,
            portal: None,
            portal_url: None,
        }
    }
}

/// The id of the key that sealed a code or a token.
pub(crate) fn key_id(text: &str) -> u32 {
    let encoded = text.splitn(3, '_').last().unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(encoded).unwrap();
    u32::from_be_bytes(bytes[1..5].try_into().unwrap())
}

fn states(keys: &[KeyRecord]) -> Vec<KeyState> {
    keys.iter().map(|key| key.state).collect()
}

async fn s27_a_rotation_under_a_running_server_ends_no_code_and_no_token(server: Server) {
    let client = server.client().await;
    let site = &server.staging;
    let code = issue(site, &client).await.code;
    let before = server.exchange(&client, &issue(site, &client).await.code).await;
    let (store, random) = (&site.store, Random::system());
    let done =
        rotate(store, &server.master_key, STAGING, (&server.clock, &random), None).await.unwrap();
    assert_eq!(done.key.seals_from, START + PUBLISHED_SECONDS);
    site.keys.reload().await.unwrap();
    assert!(site.sealer.ring().key_ids().contains(&done.key.id), "it is not known yet");

    server.clock.advance(PUBLISHED_SECONDS - 1);
    let early = issue(site, &client).await.code;
    assert_eq!(key_id(&early), key_id(&code), "it seals before everybody knows it");
    server.clock.advance(1);
    let late = issue(site, &client).await.code;
    assert_eq!(key_id(&late), done.key.id);

    for code in [&code, &early, &late] {
        let answer = server.exchange(&client, code).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(key_id(answer.text("access_token")), done.key.id);
        assert_eq!(key_id(answer.text("refresh_token")), done.key.id);
    }
    assert_opens(&server, before.text("access_token"), true).await;
    let after = server.refresh(&client, before.text("refresh_token")).await;
    assert_eq!(after.status, 200, "{after:?}");
    assert_eq!(key_id(after.text("refresh_token")), done.key.id);
    assert_opens(&server, after.text("access_token"), true).await;
    assert_opens(&server, before.text("access_token"), true).await;
    // The other environment's keys are its own.
    let client = server.client_with(Environment::Production, |_| ()).await;
    let other = issue(&server.production, &client).await;
    assert_eq!(vec![key_id(&other.code)], server.production.sealer.ring().key_ids());
}

async fn s27_d11_two_processes_agree_on_a_successor_before_during_and_after_a_rotation(
    server: Server,
) {
    let house = House::of(server);
    let (one, other) = (house.process().await, house.process().await);
    let seal = |keys: &Keys, turned_at| keys.sealer(STAGING).refresh(&SEAL, turned_at);
    let before = seal(&one, START);
    let new = house.rotate().await;
    assert!(one.reload().await.unwrap());
    assert!(!one.reload().await.unwrap(), "it was read again though nothing changed");
    // Until the new key seals, it is the same whether a process knows it or not.
    for turned_at in [START, new.seals_from - 1] {
        assert_eq!(seal(&one, turned_at), seal(&other, turned_at));
    }
    assert!(other.reload().await.unwrap());
    for turned_at in [START, new.seals_from - 1, new.seals_from, new.seals_from + 100] {
        assert_eq!(seal(&one, turned_at), seal(&other, turned_at));
    }
    assert_eq!(key_id(&seal(&one, new.seals_from)), new.id);
    // A repeat of a generation that began before is the same to the byte, long after.
    house.server.clock.advance(1000);
    house.rotate().await;
    one.reload().await.unwrap();
    assert_eq!(seal(&one, START), before);
    assert_eq!(seal(&house.process().await, START), before);
}

async fn s27_a_superseded_key_verifies_until_the_longest_token_of_the_settings_has_ended(
    server: Server,
) {
    let longest = LIFE_SECONDS - DAY;
    let config = |seconds: i64| {
        let text = format!(
            "store = \"sqlite:grantor.db\"\nmaster_key_file = \"master.key\"\n\
             [environment.staging]\nbase_url = \"http://localhost:8399\"\n\
             listen = \"127.0.0.1:8399\"\nrefresh_token_idle_seconds = {seconds}\n"
        );
        Config::parse(&text, "grantor.toml".as_ref())
    };
    assert!(config(longest).is_ok(), "the limit is less, and keys stay too long");
    assert!(config(longest + 1).is_err(), "a token can outlive its key");

    let house = House::of(server);
    let keys = house.process().await;
    let second = house.rotate().await;
    assert_eq!(states(&house.list().await), [KeyState::Sealing, KeyState::Next]);
    house.server.clock.advance(PUBLISHED_SECONDS);
    let until = second.seals_from + LIFE_SECONDS;
    assert_eq!(states(&house.list().await), [KeyState::Verifying { until }, KeyState::Sealing]);
    let last = keys.sealer(STAGING).refresh(&SEAL, second.seals_from - 1);
    house.server.clock.advance(LIFE_SECONDS - 1);
    house.rotate().await;
    keys.reload().await.unwrap();
    assert_eq!(keys.sealer(STAGING).open_refresh(&last), Ok(SEAL));
    house.server.clock.advance(1);
    assert_eq!(states(&house.list().await)[0], KeyState::Ended);
    let newest = house.rotate().await;
    let left: Vec<u32> = house.list().await.iter().map(|key| key.id).collect();
    assert_eq!(left.len(), 3);
    assert!(left.contains(&second.id) && left.contains(&newest.id));
    keys.reload().await.unwrap();
    assert_eq!(keys.sealer(STAGING).open_refresh(&last), Err(NotThisSeal::UnknownKey));
}

async fn s27_a_clean_up_removes_ended_keys_and_no_other_and_every_process_forgets_them(
    server: Server,
) {
    let house = House::of(server);
    let keys = house.process().await;
    let clean = async || {
        remove_ended(&house.store, house.server.clock.now(), &Random::system()).await.unwrap()
    };
    let second = house.rotate().await;
    house.server.clock.advance(PUBLISHED_SECONDS + LIFE_SECONDS - 1);
    let third = house.rotate().await;
    keys.reload().await.unwrap();
    assert!(!clean().await);
    assert!(!keys.reload().await.unwrap(), "it was read again though nothing changed");
    house.server.clock.advance(1);
    let before = states(&house.list().await);
    assert_eq!(before, [KeyState::Ended, KeyState::Sealing, KeyState::Next]);
    assert!(clean().await);
    let left: Vec<u32> = house.list().await.iter().map(|key| key.id).collect();
    assert_eq!(left, [second.id, third.id]);
    assert!(keys.reload().await.unwrap(), "nobody notices");
    assert_eq!(keys.sealer(STAGING).ring().key_ids(), left);
    assert!(!clean().await);
    // The one key of the other environment is as old, and seals.
    assert_eq!(keys.sealer(Environment::Production).ring().key_ids().len(), 1);
}

async fn a_rotation_on_a_clock_that_is_behind_still_makes_the_newest_key(server: Server) {
    let house = House::of(server);
    house.process().await;
    house.server.clock.advance(-DAY);
    let second = house.rotate().await;
    assert_eq!(second.seals_from, START + 1);
    let third = house.rotate().await;
    assert_eq!(third.seals_from, START + 2);
    assert_eq!(house.list().await.last().unwrap().id, third.id);
}

async fn a_revoked_key_drops_all_that_it_sealed_and_another_seals_in_its_place_at_once(
    server: Server,
) {
    let client = server.client().await;
    let site = &server.staging;
    let pending = issue(site, &client).await.code;
    let before = server.exchange(&client, &issue(site, &client).await.code).await;
    let elsewhere = server.client_with(Environment::Production, |_| ()).await;
    let there = issue(&server.production, &elsewhere).await;
    let key = (STAGING, key_id(before.text("refresh_token")));
    let (store, random) = (&site.store, Random::system());
    let new = revoke(store, &server.master_key, key, (&server.clock, &random), None).await.unwrap();
    let new = new.expect("nothing seals any more");
    assert_eq!((new.state, new.seals_from), (KeyState::Sealing, START));
    site.keys.reload().await.unwrap();

    assert_opens(&server, before.text("access_token"), false).await;
    let answer = server.refresh(&client, before.text("refresh_token")).await;
    answer.assert_error(400, "invalid_grant", "This is not a refresh token of this server");
    let answer = server.exchange(&client, &pending).await;
    answer.assert_error(400, "invalid_grant", "This is not a code of this server");
    let after = server.exchange(&client, &issue(site, &client).await.code).await;
    assert_eq!(after.status, 200, "{after:?}");
    assert_eq!(key_id(after.text("refresh_token")), new.id);
    assert_opens(&server, after.text("access_token"), true).await;
    assert!(server.production.sealer.open_code(&there.code).is_ok());
}

async fn revoking_a_key_that_does_not_seal_puts_none_in_its_place(server: Server) {
    let house = House::of(server);
    let keys = house.process().await;
    let first = house.list().await[0].id;
    let next = house.rotate().await;
    assert_eq!(house.revoke(next.id).await, None);
    assert_eq!(states(&house.list().await), [KeyState::Sealing]);

    let second = house.rotate().await;
    house.server.clock.advance(PUBLISHED_SECONDS);
    assert_eq!(house.revoke(first).await, None);
    let left = house.list().await;
    assert_eq!((left.len(), left[0].id, left[0].state), (1, second.id, KeyState::Sealing));
    // The one key that is left is revoked too, and the older must not seal again.
    let third = house.rotate().await;
    house.server.clock.advance(PUBLISHED_SECONDS);
    let fourth = house.revoke(third.id).await.unwrap();
    keys.reload().await.unwrap();
    assert_eq!(keys.sealer(STAGING).ring().key_ids(), [second.id, fourth.id]);
    let now = house.server.clock.now();
    assert_eq!(key_id(&keys.sealer(STAGING).refresh(&SEAL, now)), fourth.id);
    let (random, key) = (Random::system(), (STAGING, third.id));
    let gone =
        revoke(&house.store, &house.server.master_key, key, (&house.server.clock, &random), None);
    let words = gone.await.unwrap_err().to_string();
    assert!(words.contains(&format!("{:08x} in staging", third.id)), "{words}");
}

async fn an_unknown_key_is_looked_for_at_once_and_at_most_once_a_second(server: Server) {
    let house = House::of(server);
    let (paused, awake) = (house.process().await, house.process().await);
    let site = house.site(&paused);
    let seal_with_next = async || {
        let new = house.rotate().await;
        awake.reload().await.unwrap();
        awake.sealer(STAGING).refresh(&SEAL, new.seals_from)
    };
    let token = seal_with_next().await;
    assert_eq!(site.sealer.open_refresh(&token), Err(NotThisSeal::UnknownKey));
    assert_eq!(site.open(|sealer| sealer.open_refresh(&token)).await, Ok(SEAL));
    // In the same second nobody can make the process read again.
    let token = seal_with_next().await;
    let held = site.sealer.ring().key_ids();
    for _ in 0..3 {
        let opened = site.open(|sealer| sealer.open_refresh(&token)).await;
        assert_eq!(opened, Err(NotThisSeal::Foreign));
    }
    assert_eq!(site.sealer.ring().key_ids(), held);
    house.server.clock.advance(1);
    assert_eq!(site.open(|sealer| sealer.open_refresh(&token)).await, Ok(SEAL));
    // A clock that jumps back does not stop it.
    house.server.clock.advance(-DAY);
    let token = seal_with_next().await;
    assert_eq!(site.open(|sealer| sealer.open_refresh(&token)).await, Ok(SEAL));
}

async fn s17_where_the_keys_cannot_be_read_an_unknown_one_is_503_and_known_ones_go_on(
    server: Server,
) {
    let client = server.client().await;
    let tokens = server.exchange(&client, &issue(&server.staging, &client).await.code).await;
    server.execute("ALTER TABLE installation RENAME TO elsewhere");
    let secret = zeroize::Zeroizing::new(vec![7; 32]);
    let id = !key_id(tokens.text("refresh_token"));
    let ring = Ring::new(STAGING, 1, vec![SealingKey { id, seals_from: 0, secret }]).unwrap();
    let unknown = Sealer::new(ring).refresh(&SEAL, START);
    let answer = server.refresh(&client, &unknown).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert_opens(&server, tokens.text("access_token"), true).await;
    assert_eq!(server.refresh(&client, tokens.text("refresh_token")).await.status, 200);
    server.execute("ALTER TABLE elsewhere RENAME TO installation");
    server.clock.advance(1);
    let answer = server.refresh(&client, &unknown).await;
    answer.assert_error(400, "invalid_grant", "This is not a refresh token of this server");
}

async fn sixteen_changes_at_the_same_time_lose_none_and_leave_a_key_that_seals(server: Server) {
    let house = Arc::new(House::of(server));
    let keys = house.process().await;
    let mut changes = tokio::task::JoinSet::new();
    for at in 0..16 {
        let house = Arc::clone(&house);
        changes.spawn(async move {
            let (store, random) = (&house.store, Random::system());
            if at % 2 == 0 {
                let new = rotate(
                    store,
                    &house.server.master_key,
                    STAGING,
                    (&house.server.clock, &random),
                    None,
                )
                .await;
                return i64::from(new.is_ok());
            }
            let id = house.list().await[0].id;
            let key = (STAGING, id);
            let done =
                revoke(store, &house.server.master_key, key, (&house.server.clock, &random), None)
                    .await;
            done.map_or(0, |new| i64::from(new.is_some()) - 1)
        });
    }
    let difference: i64 = changes.join_all().await.into_iter().sum();
    let left = house.list().await;
    assert_eq!(i64::try_from(left.len()).unwrap(), 1 + difference, "{left:?}");
    keys.reload().await.unwrap();
    assert_eq!(keys.sealer(STAGING).ring().key_ids().len(), left.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s27_d4_a_change_whose_commit_was_not_answered_is_found_by_its_version_on_postgres() {
    let cluster = Cluster::start().unwrap();
    let address = Address::parse(&cluster.url("postgres"), "".as_ref()).unwrap();
    let (clock, random) = (Clock::manual(START), Random::system());
    let store = Store::open(&address, &clock).await.unwrap();
    let master_key = MasterKey::generate(&random);
    let keys = Keys::open(&store, &master_key, &clock, &random).await.unwrap();
    let first = keys.sealer(STAGING).ring().key_ids()[0];

    for revoking in [false, true] {
        // A commit is made, and waits for a replica that does not come.
        let run = |sql: &str| cluster.execute("postgres", sql).unwrap();
        run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
        run("SELECT pg_reload_conf()");
        let waiting = "FROM pg_stat_activity WHERE wait_event = 'SyncRep'";
        let cut = async {
            while run(&format!("SELECT pid::text {waiting}")).is_empty() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            run("ALTER SYSTEM RESET synchronous_standby_names");
            run(&format!("SELECT pg_terminate_backend(pid) {waiting}"));
            run("SELECT pg_reload_conf()");
        };
        if revoking {
            let key = (STAGING, first);
            let done = revoke(&store, &master_key, key, (&clock, &random), None);
            let (new, ()) = tokio::join!(done, cut);
            assert_eq!(new.unwrap(), None);
        } else {
            let done = rotate(&store, &master_key, STAGING, (&clock, &random), None);
            let (rotated, ()) = tokio::join!(done, cut);
            let new = rotated.unwrap().key.id;
            keys.reload().await.unwrap();
            assert_eq!(keys.sealer(STAGING).ring().key_ids(), [first, new], "made twice");
            clock.advance(PUBLISHED_SECONDS);
        }
    }
    keys.reload().await.unwrap();
    assert!(!keys.sealer(STAGING).ring().key_ids().contains(&first));
}

on_both_engines! {
    s27_a_clean_up_removes_ended_keys_and_no_other_and_every_process_forgets_them,
    s27_a_rotation_under_a_running_server_ends_no_code_and_no_token,
    s27_d11_two_processes_agree_on_a_successor_before_during_and_after_a_rotation,
    s27_a_superseded_key_verifies_until_the_longest_token_of_the_settings_has_ended,
    a_rotation_on_a_clock_that_is_behind_still_makes_the_newest_key,
    a_revoked_key_drops_all_that_it_sealed_and_another_seals_in_its_place_at_once,
    revoking_a_key_that_does_not_seal_puts_none_in_its_place,
    an_unknown_key_is_looked_for_at_once_and_at_most_once_a_second,
    s17_where_the_keys_cannot_be_read_an_unknown_one_is_503_and_known_ones_go_on,
    sixteen_changes_at_the_same_time_lose_none_and_leave_a_key_that_seals,
}
