//! D5: what a restore ends, what it lets live, and when it stops and asks. The real program, from
//! `grantor init` to the customer's browser.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use grantor::random::Random;

use crate::harness::Answer;
use crate::installation::{App, Installation, walk};
use crate::program::new_browser;

/// What anybody needs to restore over what is there.
const REPLACE: [&str; 3] = ["restore", "b1", "--replace"];

/// Signs in, and is told why not.
async fn assert_cannot_sign_in(app: &App, email: &str) {
    let browser = new_browser();
    let page = browser.get(&app.authorize_url()).await;
    let fields = [("email", email), ("password", crate::installation::PASSWORD)];
    assert_eq!(browser.submit(&page, &fields).await.status.as_u16(), 401);
}

/// Takes `b1` in the middle of refreshes. Answers all refresh tokens in order, the last access token,
/// and what the backup said.
async fn backup_amid_refreshes(
    house: &Installation,
    app: &App,
    connected: &Answer,
) -> (Vec<String>, String, serde_json::Value) {
    let mut tokens = vec![connected.text("refresh_token").to_owned()];
    let mut last_access = String::new();
    let (begin, begun) = tokio::sync::oneshot::channel();
    let (mut begin, is_taken) = (Some(begin), std::cell::Cell::new(false));
    let refreshes = async {
        while !is_taken.get() || tokens.len() < 20 {
            let answer = app.refresh(tokens.last().unwrap()).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            tokens.push(answer.text("refresh_token").to_owned());
            last_access = answer.text("access_token").to_owned();
            if tokens.len() > 5 {
                begin.take().map(|begin| begin.send(()));
            }
        }
    };
    let backup = async {
        begun.await.unwrap();
        let taken = house.json(&["backup", "b1"]).await;
        is_taken.set(true);
        taken
    };
    let (taken, ()) = tokio::join!(backup, refreshes);
    (tokens, last_access, taken)
}

/// The row of these tokens went back behind them: the newest opens nothing, and ends nothing.
async fn assert_behind_its_tokens(house: &Installation, app: &App, tokens: &[String]) {
    let generations = house.values("SELECT generation FROM grants WHERE generation > 2");
    let [generation] = generations[..] else { panic!("{generations:?}") };
    let newest = i64::try_from(tokens.len()).unwrap();
    assert!((6..newest).contains(&generation), "it is not amid the refreshes: {generation}");
    assert_eq!(app.refresh(tokens.last().unwrap()).await.status, 400);
    assert_eq!(house.values("SELECT COUNT(*) FROM grants WHERE revoked_at IS NOT NULL"), [1]);
    let at_row = &tokens[usize::try_from(generation).unwrap() - 1];
    assert_eq!(app.refresh(at_row).await.status, 200);
}

installed_on_both_engines! {
    d5_a_partner_that_was_switched_off_since_the_backup_is_off_and_makes_nothing_new,
    d5_a_restore_ends_what_is_old_keeps_connections_and_brings_back_nothing_that_ended,
    d5_where_the_journal_does_not_reach_the_restore_stops_and_each_choice_does_what_it_says,
    d5_secrets_and_passwords_changed_since_are_named_and_voided_where_it_is_asked_for,
    d5_a_backup_holds_no_master_key_and_nobody_else_may_read_it,
    d5_a_sealing_key_that_was_revoked_since_stays_revoked_and_a_fresh_one_seals,
}

async fn d5_a_sealing_key_that_was_revoked_since_stays_revoked_and_a_fresh_one_seals(
    mut house: Installation,
) {
    let app = house.app(&[]).await;
    let before = app.connect("robin@example.com").await;
    let signing = house.json(&["key", "rotate", "--signing", "--environment", "staging"]).await;
    let signing = signing["signing_keys"][0]["id"].as_str().unwrap().to_owned();
    house.json(&["backup", "b1"]).await;
    house.json(&["key", "revoke", &signing, "--environment", "staging", "--yes"]).await;
    let keys = house.json(&["key", "list"]).await["keys"].clone();
    let of_staging = |key: &&serde_json::Value| key["environment"] == "staging";
    let leaked = keys.as_array().unwrap().iter().find(of_staging).unwrap();
    let leaked = leaked["id"].as_str().unwrap().to_owned();
    house.json(&["key", "revoke", &leaked, "--environment", "staging", "--yes"]).await;
    house.kill().await;
    let restored = house.restore(&[]).await;
    assert_eq!(restored["done"]["sealing_keys_removed_again"], 1, "{restored}");
    assert_eq!(restored["done"]["signing_keys_removed_again"], 1, "{restored}");
    house.serve().await;
    assert_eq!(app.refresh(before.text("refresh_token")).await.status, 400);
    let listed = house.json(&["key", "list"]).await;
    let signing_keys = listed["signing_keys"].as_array().unwrap();
    assert!(
        signing_keys.len() == 2 && signing_keys.iter().all(|key| key["id"] != signing.as_str())
    );
    let after = listed["keys"].clone();
    let ids: Vec<_> = after.as_array().unwrap().iter().filter(of_staging).collect();
    assert!(ids.len() == 1 && ids[0]["id"] != leaked.as_str(), "{after}");
    let again = app.connect("robin@example.com").await;
    assert_eq!(app.refresh(again.text("refresh_token")).await.status, 200);
}

async fn d5_a_backup_holds_no_master_key_and_nobody_else_may_read_it(house: Installation) {
    house.json(&["backup", "b1"]).await;
    let whole = fs::read(house.path("b1")).unwrap();
    let key = fs::read_to_string(house.path("master.key")).unwrap();
    let text = key.lines().find_map(|line| line.strip_prefix("key = \"")).unwrap();
    let text = text.trim_end_matches('"');
    let secret = STANDARD.decode(text).unwrap();
    assert_eq!(secret.len(), 32);
    let holds = |wanted: &[u8]| whole.windows(wanted.len()).any(|found| found == wanted);
    assert!(!holds(&secret) && !holds(text.as_bytes()));
    // What is in a row stands there as it is, so that the key would have been found.
    assert!(holds(b"robin@example.com"));
    assert_eq!(fs::metadata(house.path("b1")).unwrap().permissions().mode() & 0o777, 0o600);
}

async fn d5_a_restore_ends_what_is_old_keeps_connections_and_brings_back_nothing_that_ended(
    mut house: Installation,
) {
    house.customer("kim@example.com").await;
    let app = house.app(&[]).await;
    let public = house.app(&["--public"]).await;
    let browser = new_browser();
    let (steps, _, code) = walk(&browser, &app.authorize_url(), "robin@example.com").await;
    assert_eq!(steps, ["sign_in", "consent"]);
    let untouched = app.exchange(&code).await;
    let reused = app.connect("robin@example.com").await;
    let newer = app.connect("robin@example.com").await;
    let kims = app.connect("kim@example.com").await;
    let publics = public.connect("robin@example.com").await;
    let (silent, _, open_code) = walk(&browser, &app.authorize_url(), "robin@example.com").await;
    assert!(silent.is_empty(), "{silent:?}");

    let (_, _, spent_code) = walk(&browser, &app.authorize_url(), "robin@example.com").await;

    let (tokens, last_access, taken) = backup_amid_refreshes(&house, &app, &newer).await;
    assert_eq!(taken["tables"]["grants"], 7, "{taken}");

    // What happens after the backup: a code is spent.
    let from_spent = app.exchange(&spent_code).await;
    assert_eq!(from_spent.status, 200, "{from_spent:?}");
    // What ends after the backup: a connection whose refresh token was used twice, and a customer.
    let first = reused.text("refresh_token");
    assert_eq!(app.refresh(first).await.status, 200);
    app.refresh(first).await.assert_error(400, "invalid_grant", "used");
    let disable = ["customer", "disable", "--environment", "staging", "--email", "kim@example.com"];
    house.json(&disable).await;

    assert!(house.refused(&REPLACE).await.contains("is in use"));
    house.kill().await;
    let way_out = if house.database().is_some() { "make a new database" } else { "--replace" };
    let said = house.refused(&["restore", "b1"]).await;
    assert!(said.contains(way_out) && said.contains("nothing was changed"), "{said}");
    let restored = house.restore(&[]).await;
    assert_eq!(restored["journal"]["whole"], true, "{restored}");
    assert_eq!(restored["epoch"], 2, "{restored}");
    assert_eq!(restored["done"]["connections_ended_again"], 1, "{restored}");
    assert_eq!(restored["done"]["customers_ended_again"], 1, "{restored}");
    assert_eq!(restored["done"]["public_clients_ended"], 1, "{restored}");
    house.serve().await;

    let answer = app.refresh(untouched.text("refresh_token")).await;
    assert_eq!(answer.status, 200, "an untouched connection is gone: {answer:?}");
    let sealer = house.sealer().await;
    assert!(sealer.open_access(answer.text("access_token")).is_ok());
    assert!(sealer.open_access(untouched.text("access_token")).is_err());
    app.exchange(&open_code).await.assert_error(400, "invalid_grant", "code");
    app.exchange(&spent_code).await.assert_error(400, "invalid_grant", "code");
    assert_eq!(app.refresh(from_spent.text("refresh_token")).await.status, 400);
    assert!(sealer.open_access(from_spent.text("access_token")).is_err());
    app.refresh(first).await.assert_error(400, "invalid_grant", "ended");
    app.refresh(kims.text("refresh_token")).await.assert_error(400, "invalid_grant", "ended");
    assert_eq!(public.refresh(publics.text("refresh_token")).await.status, 400);
    assert_behind_its_tokens(&house, &app, &tokens).await;
    assert!(sealer.open_access(&last_access).is_err());
    assert_cannot_sign_in(&app, "kim@example.com").await;
    let (again, _, _) = walk(&browser, &app.authorize_url(), "robin@example.com").await;
    assert_eq!(again, ["sign_in", "consent"]);
}

async fn d5_where_the_journal_does_not_reach_the_restore_stops_and_each_choice_does_what_it_says(
    mut house: Installation,
) {
    let app = house.app(&[]).await;
    let lived = app.connect("robin@example.com").await;
    let ended = app.connect("robin@example.com").await;
    house.json(&["backup", "b1"]).await;
    let first = ended.text("refresh_token");
    assert_eq!(app.refresh(first).await.status, 200);
    assert_eq!(app.refresh(first).await.status, 400);
    house.stop().await;

    let journal = house.path("endings.journal");
    let whole = fs::read_to_string(&journal).unwrap();
    assert!(whole.contains("\"what\":\"closed\""), "{whole}");
    let damaged = whole.replacen("\"what\":\"grant\"", "\"what\":\"grand\"", 1);
    let lines: Vec<&str> = whole.lines().filter(|line| !line.is_empty()).collect();
    let below_mark = lines.iter().position(|line| line.contains("backup")).unwrap() + 1;
    let without_one: Vec<&str> =
        lines.iter().filter(|line| !line.contains("\"what\":\"grant\"")).copied().collect();
    for (text, words) in [
        (None, "there is none"),
        (Some(damaged), "was changed"),
        (Some(without_one.join("\n")), "lines are missing"),
        (Some(lines[below_mark..].join("\n")), ""),
        (Some(String::new()), "does not know of this backup"),
    ] {
        match &text {
            Some(text) => fs::write(&journal, text).unwrap(),
            None => fs::remove_file(&journal).unwrap(),
        }
        house.make_room();
        let before = house.files();
        let said = house.refused(&REPLACE).await;
        for part in [words, "does not hold all", "--end-all-connections", "--accept-gap"] {
            assert!(said.contains(part), "{said} does not say {part} of {text:?}");
        }
        assert!(before == house.files(), "something was changed: {said}");
    }

    // The journal is empty now.
    let accepted = house.restore(&["--accept-gap"]).await;
    assert_eq!(accepted["journal"]["whole"], false, "{accepted}");
    house.serve().await;
    let again = app.refresh(first).await;
    assert_eq!(again.status, 200, "what the gap holds lives again: {again:?}");
    house.kill().await;

    let all = house.restore(&["--end-all-connections"]).await;
    assert_eq!(all["done"]["all_clients_ended"], 1, "{all}");
    house.serve().await;
    app.refresh(lived.text("refresh_token")).await.assert_error(400, "invalid_grant", "ended");
    house.stop().await;

    // A copy from before the restores does not know what ended since.
    fs::write(house.path("copy"), &whole).unwrap();
    house.make_room();
    let said = house.refused(&[&REPLACE[..], &["--journal", "copy"]].concat()).await;
    assert!(said.contains("began epoch 3, and so is an older copy"), "{said}");
    // Joined with what came after, and named by hand, it ends the one that ended.
    let joined = whole.clone() + &fs::read_to_string(&journal).unwrap();
    fs::write(house.path("joined"), &joined).unwrap();
    let copy = house.restore(&["--journal", "joined"]).await;
    assert_eq!(copy["done"]["connections_ended_again"], 1, "{copy}");
    house.serve().await;
    app.refresh(first).await.assert_error(400, "invalid_grant", "ended");
    assert_eq!(app.refresh(lived.text("refresh_token")).await.status, 200);
}

async fn d5_secrets_and_passwords_changed_since_are_named_and_voided_where_it_is_asked_for(
    mut house: Installation,
) {
    house.customer("kim@example.com").await;
    let (app, other) = (house.app(&[]).await, house.app(&[]).await);
    let connected = other.connect("kim@example.com").await;
    house.json(&["backup", "b1"]).await;
    house.json(&["client", "add-secret", &app.id]).await;
    let set = ["customer", "set-password", "--environment", "staging", "--email"];
    house.json(&[&set[..], &["robin@example.com"]].concat()).await;
    house.stop().await;

    let kept = house.restore(&[]).await;
    assert_eq!(kept["secrets_changed"], serde_json::json!([app.id]), "{kept}");
    assert_eq!(kept["passwords_changed"].as_array().unwrap().len(), 1, "{kept}");
    assert_eq!(kept["done"]["secrets_voided"], 0, "{kept}");
    house.serve().await;
    assert_eq!(app.connect("robin@example.com").await.status, 200, "the old ones work");
    house.stop().await;

    let void = ["--void-secrets", "--void-passwords"];
    let voided = house.restore(&void).await;
    assert_eq!(voided["done"]["secrets_voided"], 1, "{voided}");
    assert_eq!(voided["done"]["passwords_voided"], 1, "{voided}");
    house.serve().await;
    assert_eq!(app.refresh("gr_refresh_x").await.text("error"), "invalid_client");
    assert_cannot_sign_in(&app, "robin@example.com").await;
    assert_eq!(other.refresh(connected.text("refresh_token")).await.status, 200);
    assert_eq!(other.connect("kim@example.com").await.status, 200);
}

#[tokio::test]
async fn d5_the_epoch_beside_the_key_rises_so_that_no_old_copy_starts_and_a_cut_restore_can_be_rerun()
 {
    let mut house = Installation::new().await;
    let app = house.app(&[]).await;
    let lived = app.connect("robin@example.com").await;
    house.json(&["backup", "b1"]).await;
    house.stop().await;
    let [database, key] = ["grantor.db", "master.key"].map(|name| house.path(name));
    let old_key = fs::read(&key).unwrap();

    // A place for the new key that cannot be had: nothing is changed.
    fs::create_dir(house.path("master.key.raised")).unwrap();
    let before = house.files();
    assert!(house.refused(&REPLACE).await.contains("master key"));
    let unmarked = |files: Vec<(std::path::PathBuf, Vec<u8>)>| -> Vec<_> {
        files.into_iter().filter(|(path, _)| !path.ends_with("endings.journal")).collect()
    };
    assert!(unmarked(before) == unmarked(house.files()));
    fs::remove_dir(house.path("master.key.raised")).unwrap();

    let restored = house.json(&REPLACE).await;
    assert_eq!(restored["epoch"], 2, "{restored}");
    let kept = restored["kept"].as_str().unwrap().to_owned();
    // Cut off between the database and the key, it starts; once more, it begins another epoch.
    fs::write(&key, &old_key).unwrap();
    house.serve().await;
    assert_eq!(app.refresh(lived.text("refresh_token")).await.status, 200);
    house.stop().await;
    assert_eq!(house.json(&REPLACE).await["epoch"], 3);

    // The database from before, put back by hand.
    fs::copy(&kept, &database).unwrap();
    let said = house.serve_refuses().await;
    assert!(said.contains("put back from an older copy"), "{said}");
    assert_eq!(house.json(&REPLACE).await["epoch"], 4);
    house.serve().await;

    let other = grantor::master_key::MasterKey::generate(&Random::system());
    house.stop().await;
    fs::remove_file(&key).unwrap();
    other.write(&key).unwrap();
    let before = house.files();
    let said = house.refused(&REPLACE).await;
    assert!(said.contains(other.id()) && said.contains("the backup belongs to mk-"), "{said}");
    assert!(before == house.files());
}

#[tokio::test]
async fn d5_a_postgres_database_put_back_without_restore_is_refused() {
    let mut house = Installation::on_postgres().await;
    let app = house.app(&[]).await;
    let lived = app.connect("robin@example.com").await;
    house.json(&["backup", "b1"]).await;
    house.stop().await;
    let before = house.store();

    // The database is gone, and an empty one is there in its place.
    house.make_room();
    let (key, kept) = (house.path("master.key"), house.path("kept.key"));
    fs::rename(&key, &kept).unwrap();
    let other = grantor::master_key::MasterKey::generate(&Random::system());
    other.write(&key).unwrap();
    let said = house.refused(&["restore", "b1"]).await;
    assert!(said.contains(other.id()) && said.contains("the backup belongs to mk-"), "{said}");
    fs::rename(&kept, &key).unwrap();
    let said = house.serve_refuses().await;
    assert!(said.contains("is empty") && said.contains("run `grantor restore`"), "{said}");
    // That server made the tables, and they are no obstacle.
    let restored = house.json(&["restore", "b1"]).await;
    assert_eq!(restored["epoch"], 2, "{restored}");
    house.serve().await;
    assert_eq!(app.refresh(lived.text("refresh_token")).await.status, 200);
    house.stop().await;
    let said = house.refused(&["restore", "b1"]).await;
    assert!(said.contains("is not empty") && said.contains("make a new database"), "{said}");

    house.configure(&before);
    let said = house.serve_refuses().await;
    assert!(said.contains("put back from an older copy"), "{said}");
}

#[tokio::test]
async fn d5_a_copy_of_the_journal_is_told_by_its_time_unless_it_is_named() {
    let mut house = Installation::new().await;
    house.json(&["backup", "b1"]).await;
    house.kill().await;
    let journal = house.path("endings.journal");
    let file = fs::File::options().append(true).open(&journal).unwrap();
    let last = file.metadata().unwrap().modified().unwrap();
    file.set_modified(last + Duration::from_secs(600)).unwrap();
    let said = house.refused(&REPLACE).await;
    assert!(said.contains("written after its last line"), "{said}");
    let named = [&REPLACE[..], &["--journal", "endings.journal"]].concat();
    assert_eq!(house.json(&named).await["journal"]["whole"], true);
}

#[tokio::test]
async fn d5_a_restore_that_fails_in_the_middle_leaves_a_postgres_database_empty() {
    let mut house = Installation::on_postgres().await;
    house.json(&["backup", "b1"]).await;
    house.stop().await;
    house.make_room();
    fs::copy(house.path("b1"), house.path("b2")).unwrap();
    crate::backup::change_header(&house.path("b2"), "\"customers\":1,", "\"customers\":2,");
    let key = fs::read(house.path("master.key")).unwrap();
    let said = house.refused(&["restore", "b2"]).await;
    assert!(said.contains("its table customers has 1 rows"), "{said}");
    let tables = "SELECT COUNT(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(house.values(tables), [0]);
    assert_eq!(fs::read(house.path("master.key")).unwrap(), key);
    assert!(!house.path("master.key.raised").exists());
    house.json(&["restore", "b1"]).await;
    house.serve().await;
}

async fn d5_a_partner_that_was_switched_off_since_the_backup_is_off_and_makes_nothing_new(
    mut house: Installation,
) {
    house.app(&[]).await;
    house.json(&["backup", "b1"]).await;
    let partners = house.json(&["partner", "list"]).await;
    let id = partners["partners"][0]["id"].as_str().unwrap().to_owned();
    house.json(&["partner", "disable", &id]).await;
    house.stop().await;
    house.restore(&[]).await;
    for table in ["partners", "clients"] {
        let off = house.values(&format!("SELECT COUNT(*) FROM {table} WHERE suspended"));
        assert!(off[0] > 0, "{table}");
    }
}
