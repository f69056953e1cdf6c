use grantor_protocol::client::{Client, ClientSettings};
use grantor_protocol::grant::{
    Active, Binding, CodeFault, Exchange, ExchangeRefused, Grant, GrantStatus, Refresh,
    RefreshDecision, RefreshFault, check_exchange, check_refresh, refresh_window_seconds,
};
use grantor_protocol::pkce::{CodeChallenge, CodeVerifier};
use grantor_protocol::redirect_uri::RedirectUriDigest;
use grantor_protocol::scope::Scope;

use crate::fixtures::{REDIRECT_URI, client, public_client};

const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const NOW: i64 = 1_800_000_000;
const WINDOW: i64 = 60;

fn verifier() -> CodeVerifier {
    CodeVerifier::parse(VERIFIER).unwrap()
}

fn other_verifier() -> CodeVerifier {
    CodeVerifier::parse(&"x".repeat(43)).unwrap()
}

/// Pending, its code good for 60 seconds more, without a challenge.
fn pending() -> Grant {
    Grant {
        id: [1; 16],
        client_id: client().id,
        customer_id: [2; 16],
        scope: Scope::parse("financial-api").unwrap(),
        businesses: vec![1],
        redirect_uri: RedirectUriDigest::of(REDIRECT_URI),
        code_challenge: None,
        code_expires_at: NOW + 60,
        ends_at: None,
        binding: Binding::default(),
        openid: None,
        status: GrantStatus::Pending,
        in_force: true,
    }
}

fn with_challenge(grant: Grant) -> Grant {
    let challenge = CodeChallenge::parse(Some(CHALLENGE), Some("S256")).unwrap();
    Grant { code_challenge: challenge, ..grant }
}

fn active(generation: i64, turned_at: i64) -> Active {
    Active {
        generation,
        redeemed_at: NOW,
        turned_at,
        idle_expires_at: NOW + 1_000_000,
        repeated: false,
        repeats_running: 0,
    }
}

fn living(active: Active) -> Grant {
    Grant { status: GrantStatus::Active(active), ..pending() }
}

fn revoked() -> Grant {
    Grant { status: GrantStatus::Revoked { at: NOW }, ..pending() }
}

fn exchange(
    grant: &Grant,
    client: &Client,
    code_verifier: Option<&CodeVerifier>,
    now: i64,
) -> Result<(), ExchangeRefused> {
    let exchange = Exchange { client, redirect_uri: REDIRECT_URI, code_verifier, key: None };
    check_exchange(Some(grant), &exchange, now)
}

fn denied(fault: CodeFault, proved: bool, revoke: bool) -> Result<(), ExchangeRefused> {
    Err(ExchangeRefused { fault, proved, revoke })
}

fn refresh(grant: &Grant, client: &Client, generation: i64, now: i64) -> RefreshDecision {
    check_refresh(Some(grant), &presented(client, generation, WINDOW), now)
}

fn presented(client: &Client, generation: i64, window_seconds: i64) -> Refresh<'_> {
    Refresh { client, generation, key: None, window_seconds }
}

/// A client with the window of a client that has a secret.
fn patient(client: Client) -> Client {
    let settings = ClientSettings { refresh_window_seconds: Some(WINDOW), ..client.settings };
    Client { settings, ..client }
}

fn refused(fault: RefreshFault) -> RefreshDecision {
    RefreshDecision::Refuse { fault, revoke: false, alarm: false }
}

fn reused(seconds_ago: Option<i64>) -> RefreshDecision {
    RefreshDecision::Refuse {
        fault: RefreshFault::Reused { seconds_ago },
        revoke: true,
        alarm: false,
    }
}

fn alarm() -> RefreshDecision {
    RefreshDecision::Refuse { fault: RefreshFault::AheadOfRow, revoke: false, alarm: true }
}

#[test]
fn s10_a_code_is_redeemed_until_the_second_in_which_it_expires() {
    let expired = |seconds_ago| denied(CodeFault::Expired { seconds_ago }, true, false);
    for (after, expected) in [
        (-5, Ok(())),
        (0, Ok(())),
        (59, Ok(())),
        (60, expired(0)),
        (61, expired(1)),
        (3600, expired(3540)),
    ] {
        assert_eq!(exchange(&pending(), &client(), None, NOW + after), expected, "{after}");
    }
}

#[test]
fn s13_s12_a_code_is_bound_to_client_redirect_uri_and_challenge_and_a_failed_check_burns_nothing() {
    let other_client = Client { id: "another".into(), ..client() };
    let slash = format!("{REDIRECT_URI}/");
    let bound = with_challenge(pending());
    let (right, wrong) = (verifier(), other_verifier());
    for (grant, client, redirect_uri, code_verifier, fault) in [
        (&pending(), &other_client, REDIRECT_URI, None, CodeFault::OtherClient),
        (&pending(), &client(), slash.as_str(), None, CodeFault::RedirectUriDiffers),
        (&pending(), &client(), "", None, CodeFault::RedirectUriDiffers),
        (&pending(), &client(), REDIRECT_URI, Some(&right), CodeFault::VerifierUnexpected),
        (&bound, &client(), REDIRECT_URI, None, CodeFault::VerifierMissing),
        (&bound, &client(), REDIRECT_URI, Some(&wrong), CodeFault::VerifierWrong),
        (&bound, &other_client, slash.as_str(), Some(&wrong), CodeFault::OtherClient),
        (&bound, &client(), slash.as_str(), Some(&wrong), CodeFault::RedirectUriDiffers),
    ] {
        let exchange = Exchange { client, redirect_uri, code_verifier, key: None };
        // A pending code that has expired, was used or was ended answers the same: the state is
        // not for who fails these.
        for status in [
            GrantStatus::Pending,
            GrantStatus::Active(active(1, NOW)),
            GrantStatus::Revoked { at: NOW },
        ] {
            for now in [NOW, NOW + 3600] {
                let grant = Grant { status, ..grant.clone() };
                let found = check_exchange(Some(&grant), &exchange, now);
                assert_eq!(found, denied(fault, true, false));
            }
        }
    }
    assert_eq!(exchange(&bound, &client(), Some(&right), NOW), Ok(()));
}

#[test]
fn u7_a_public_client_is_told_the_cause_only_after_its_verifier_matched() {
    let public = public_client();
    let bound = with_challenge(pending());
    let (right, wrong) = (verifier(), other_verifier());
    let elsewhere =
        Grant { redirect_uri: RedirectUriDigest::of("https://a.example/"), ..bound.clone() };
    let foreign = Grant { client_id: "another".into(), ..bound.clone() };
    let expired = CodeFault::Expired { seconds_ago: 0 };
    for (grant, code_verifier, now, fault, proved) in [
        (&bound, None, NOW, CodeFault::VerifierMissing, false),
        (&bound, Some(&wrong), NOW, CodeFault::VerifierWrong, false),
        (&elsewhere, Some(&right), NOW, CodeFault::RedirectUriDiffers, false),
        (&foreign, Some(&right), NOW, CodeFault::OtherClient, false),
        (&bound, Some(&right), NOW + 60, expired, true),
    ] {
        let found = exchange(grant, &public, code_verifier, now);
        assert_eq!(found, denied(fault, proved, false));
    }
    let exchange =
        Exchange { client: &public, redirect_uri: REDIRECT_URI, code_verifier: None, key: None };
    assert_eq!(check_exchange(None, &exchange, NOW), denied(CodeFault::Unknown, false, false));
    let exchange = Exchange { client: &client(), ..exchange };
    assert_eq!(check_exchange(None, &exchange, NOW), denied(CodeFault::Unknown, true, false));
}

#[test]
fn s6_without_secret_and_challenge_no_code_is_redeemed() {
    // The client was confidential when the code was made, and is public now.
    for grant in [pending(), living(active(1, NOW))] {
        let found = exchange(&grant, &public_client(), None, NOW);
        assert_eq!(found, denied(CodeFault::VerifierMissing, false, false));
    }
}

#[test]
fn s11_a_replay_that_proves_all_revokes_before_the_codes_own_expiry_and_not_after_it() {
    let grant = living(active(1, NOW));
    for (age, revoke) in
        [(0, true), (1, true), (10, true), (59, true), (60, false), (61, false), (1_000_000, false)]
    {
        let fault = CodeFault::Used { seconds_ago: age };
        let found = exchange(&grant, &client(), None, NOW + age);
        assert_eq!(found, denied(fault, true, revoke), "{age}");
    }
}

#[test]
fn s11_d11_a_double_submit_with_pkce_is_denied_and_revokes_nothing_within_ten_seconds() {
    let grant = with_challenge(living(active(1, NOW)));
    for client in [client(), public_client()] {
        for (age, revoke) in [(0, false), (10, false), (11, true), (59, true), (60, false)] {
            let fault = CodeFault::Used { seconds_ago: age };
            let found = exchange(&grant, &client, Some(&verifier()), NOW + age);
            assert_eq!(found, denied(fault, true, revoke), "{age}");
        }
    }
}

#[test]
fn s11_a_replay_that_proves_less_is_denied_and_changes_nothing() {
    let grant = living(active(1, NOW));
    let bound = with_challenge(grant.clone());
    let (right, wrong) = (verifier(), other_verifier());
    let other = Client { id: "another".into(), ..client() };
    for age in [0, 11, 59, 60] {
        for (grant, client, code_verifier, fault, proved) in [
            (&grant, &other, None, CodeFault::OtherClient, true),
            (&grant, &client(), Some(&right), CodeFault::VerifierUnexpected, true),
            (&bound, &client(), Some(&wrong), CodeFault::VerifierWrong, true),
            (&bound, &client(), None, CodeFault::VerifierMissing, true),
            (&bound, &public_client(), Some(&wrong), CodeFault::VerifierWrong, false),
            (&bound, &public_client(), None, CodeFault::VerifierMissing, false),
        ] {
            let found = exchange(grant, client, code_verifier, NOW + age);
            assert_eq!(found, denied(fault, proved, false), "{age}");
        }
        let elsewhere = Exchange {
            key: None,
            client: &client(),
            redirect_uri: "https://mycompany.com/",
            code_verifier: None,
        };
        let found = check_exchange(Some(&grant), &elsewhere, NOW + age);
        assert_eq!(found, denied(CodeFault::RedirectUriDiffers, true, false), "{age}");
    }
}

#[test]
fn s11_the_generation_that_the_connection_has_reached_saves_no_replay() {
    let found = exchange(&living(active(5, NOW + 30)), &client(), None, NOW + 40);
    assert_eq!(found, denied(CodeFault::Used { seconds_ago: 40 }, true, true));
}

#[test]
fn d10_a_replay_before_its_own_redemption_is_denied_and_changes_nothing() {
    let used = CodeFault::Used { seconds_ago: 0 };
    let plain = living(active(1, NOW));
    let bound = with_challenge(plain.clone());
    for now in [NOW - 3, NOW - 100_000] {
        assert_eq!(exchange(&plain, &client(), None, now), denied(used, true, false));
        assert_eq!(exchange(&bound, &client(), Some(&verifier()), now), denied(used, true, false));
    }
}

#[test]
fn d10_s11_a_replay_at_a_process_whose_clock_is_behind_by_two_seconds_revokes_like_one_just_now() {
    let used = CodeFault::Used { seconds_ago: 0 };
    for now in [NOW, NOW - 1, NOW - 2] {
        let found = exchange(&living(active(1, NOW)), &client(), None, now);
        assert_eq!(found, denied(used, true, true));
    }
}

#[test]
fn s15_d10_a_parallel_caller_at_a_process_whose_clock_is_behind_by_two_seconds_gets_the_repeat() {
    for now in [NOW, NOW - 1, NOW - 2] {
        let found = refresh(&living(active(2, NOW)), &client(), 1, now);
        assert_eq!(found, RefreshDecision::Repeat);
    }
}

#[test]
fn u10_a_grant_that_was_ended_or_is_not_in_force_gives_nothing_and_revokes_nothing() {
    let over = |grant: Grant| Grant { in_force: false, ..grant };
    let past = |end| Grant { ends_at: Some(end), ..pending() };
    let ended = denied(CodeFault::Ended, true, false);
    for grant in
        [over(pending()), over(living(active(1, NOW))), revoked(), past(NOW), past(NOW - 1)]
    {
        assert_eq!(exchange(&grant, &client(), None, NOW), ended, "{grant:?}");
    }
    assert_eq!(exchange(&past(NOW + 1), &client(), None, NOW), Ok(()));
    for grant in [over(living(active(2, NOW))), revoked(), over(revoked())] {
        for generation in [1, 2] {
            let found = refresh(&grant, &client(), generation, NOW);
            assert_eq!(found, refused(RefreshFault::Ended), "{grant:?}");
        }
    }
}

#[test]
fn s15_the_newest_token_turns_and_its_parent_repeats_inside_the_window() {
    let grant = living(active(2, NOW));
    for (age, newest, parent) in [
        (0, RefreshDecision::Turn, RefreshDecision::Repeat),
        (1, RefreshDecision::Turn, RefreshDecision::Repeat),
        (WINDOW - 1, RefreshDecision::Turn, RefreshDecision::Repeat),
        (WINDOW, RefreshDecision::Turn, reused(Some(WINDOW))),
        (WINDOW + 1, RefreshDecision::Turn, reused(Some(WINDOW + 1))),
    ] {
        assert_eq!(refresh(&grant, &client(), 2, NOW + age), newest, "{age}");
        assert_eq!(refresh(&grant, &client(), 1, NOW + age), parent, "{age}");
    }
}

#[test]
fn s15_d11_the_window_never_slides_and_repeats_of_one_generation_are_as_many_as_you_like() {
    let repeated = Active { repeated: true, repeats_running: 1, ..active(2, NOW) };
    for client in [client(), patient(public_client())] {
        assert_eq!(
            refresh(&living(repeated), &client, 1, NOW + WINDOW - 1),
            RefreshDecision::Repeat
        );
        assert_eq!(refresh(&living(repeated), &client, 1, NOW + WINDOW), reused(Some(WINDOW)));
    }
}

#[test]
fn s15_anything_older_than_the_parent_is_reuse_at_once() {
    for generation in [1, 2, i64::MIN, 0, -1] {
        assert_eq!(refresh(&living(active(4, NOW)), &client(), generation, NOW), reused(None));
    }
}

#[test]
fn s15_a_window_of_nothing_takes_every_repeat_for_reuse() {
    for window in [0, -1] {
        let found =
            check_refresh(Some(&living(active(2, NOW))), &presented(&client(), 1, window), NOW);
        assert_eq!(found, reused(Some(0)));
    }
}

#[test]
fn s15_a_public_client_that_repeats_in_three_generations_running_is_revoked() {
    let public = public_client();
    let at =
        |repeated, repeats_running| living(Active { repeated, repeats_running, ..active(4, NOW) });
    for (repeated, running, expected) in [
        (false, 0, RefreshDecision::Repeat),
        (false, 1, RefreshDecision::Repeat),
        (true, 1, RefreshDecision::Repeat),
        (true, 2, RefreshDecision::Repeat),
        (false, 2, reused(Some(3))),
        (true, 3, reused(Some(3))),
    ] {
        let grant = at(repeated, running);
        assert_eq!(refresh(&grant, &public, 3, NOW + 3), expected, "{repeated} {running}");
        assert_eq!(refresh(&grant, &client(), 3, NOW + 3), RefreshDecision::Repeat);
        assert_eq!(refresh(&grant, &public, 4, NOW + 3), RefreshDecision::Turn);
    }
}

#[test]
fn s15_the_window_of_a_public_client_is_ten_seconds_unless_its_setting_says_otherwise() {
    let set = |client: Client, seconds| {
        let mut client = client;
        client.settings.refresh_window_seconds = Some(seconds);
        client
    };
    for (client, default, expected) in [
        (client(), 60, 60),
        (public_client(), 60, 10),
        (public_client(), 5, 5),
        (set(client(), 0), 60, 0),
        (set(client(), 300), 60, 300),
        (set(public_client(), 30), 60, 30),
    ] {
        assert_eq!(refresh_window_seconds(&client, false, default), expected);
    }
}

#[test]
fn s15_another_clients_token_is_refused_and_revokes_nothing_however_old_it_is() {
    let other = Client { id: "another".into(), ..client() };
    for (grant, generation) in [
        (living(active(4, NOW)), 1),
        (living(active(4, NOW)), 4),
        (living(active(4, NOW)), 9),
        (pending(), 1),
        (revoked(), 1),
    ] {
        assert_eq!(refresh(&grant, &other, generation, NOW), refused(RefreshFault::OtherClient));
    }
    let found = check_refresh(None, &presented(&client(), 1, WINDOW), NOW);
    assert_eq!(found, refused(RefreshFault::Unknown));
}

#[test]
fn d10_a_clock_that_went_back_behind_the_turn_denies_and_revokes_nothing() {
    for age in [-3, -60, -1_000_000] {
        for client in [client(), public_client()] {
            let doubled = Active { repeats_running: 2, ..active(2, NOW) };
            for active in [active(2, NOW), doubled] {
                let found = refresh(&living(active), &client, 1, NOW + age);
                assert_eq!(found, refused(RefreshFault::ClockWentBack), "{age}");
            }
        }
        assert_eq!(
            refresh(&living(active(2, NOW)), &client(), 2, NOW + age),
            RefreshDecision::Turn
        );
    }
}

#[test]
fn s15_idle_days_and_the_absolute_end_hold_to_the_second_and_revoke_nothing() {
    let idle = NOW + 1_000_000;
    let expired = |seconds_ago| refused(RefreshFault::Expired { seconds_ago });
    for (ends_at, now, expected) in [
        (None, idle - 1, RefreshDecision::Turn),
        (None, idle, expired(0)),
        (None, idle + 5, expired(5)),
        (Some(NOW + 50), NOW + 49, RefreshDecision::Turn),
        (Some(NOW + 50), NOW + 50, expired(0)),
        (Some(idle + 50), idle + 5, expired(5)),
    ] {
        let grant = Grant { ends_at, ..living(active(3, NOW)) };
        assert_eq!(refresh(&grant, &client(), 3, now), expected, "{ends_at:?} {now}");
        if let RefreshDecision::Refuse { .. } = expected {
            assert_eq!(refresh(&grant, &client(), 2, now), expected, "{ends_at:?} {now}");
            assert_eq!(refresh(&grant, &client(), 1, now), expected, "{ends_at:?} {now}");
        }
    }
}

#[test]
fn d5_a_token_ahead_of_its_row_raises_an_alarm_in_every_state_and_revokes_nothing() {
    let grant = living(active(2, NOW));
    let not_in_force = Grant { in_force: false, ..grant.clone() };
    let past_its_end = Grant { ends_at: Some(NOW - 1), ..grant.clone() };
    for generation in [3, 4, i64::MAX] {
        for grant in [&grant, &not_in_force, &past_its_end, &pending()] {
            assert_eq!(refresh(grant, &client(), generation, NOW), alarm());
            // A row out of an old backup has mostly expired by its own account.
            assert_eq!(refresh(grant, &client(), generation, NOW + 2_000_000), alarm());
        }
    }
    assert_eq!(refresh(&pending(), &client(), 1, NOW), alarm());
}

#[test]
fn s15_what_is_bound_to_a_key_turns_with_it_alone_and_reuse_without_it_ends_nothing() {
    let (mine, other) = (Some([1; 32]), Some([2; 32]));
    let of = |bound| Binding { key: bound, ..Binding::default() };
    for client in [client(), public_client()] {
        for (generation, with_key) in
            [(4, RefreshDecision::Turn), (3, RefreshDecision::Repeat), (2, reused(None))]
        {
            for (bound, key, expected) in [
                (None, None, with_key),
                (None, mine, with_key),
                (mine, mine, with_key),
                (mine, None, refused(RefreshFault::ProofMissing)),
                (mine, other, refused(RefreshFault::KeyDiffers)),
            ] {
                let grant = Grant { binding: of(bound), ..living(active(4, NOW)) };
                let refresh = Refresh { client: &client, generation, key, window_seconds: WINDOW };
                assert_eq!(check_refresh(Some(&grant), &refresh, NOW), expected, "{generation}");
            }
        }
        // The operator hears of a row that went back in time, whoever shows it.
        let grant = Grant { binding: of(mine), ..living(active(4, NOW)) };
        let found = check_refresh(Some(&grant), &presented(&client, 5, WINDOW), NOW);
        assert!(matches!(found, RefreshDecision::Refuse { alarm: true, .. }), "{found:?}");
    }
}

#[test]
fn d11_a_public_clients_window_is_the_usual_one_where_its_token_is_bound_to_a_key() {
    let public = public_client();
    assert_eq!(refresh_window_seconds(&public, false, 60), 10);
    assert_eq!(refresh_window_seconds(&public, true, 60), 60);
    let bound = Binding { key: Some([1; 32]), ..Binding::default() };
    let repeated = Active { repeats_running: 5, ..active(4, NOW) };
    for (binding, key, expected) in [
        (Binding::default(), None, reused(Some(30))),
        (bound, Some([1; 32]), RefreshDecision::Repeat),
    ] {
        let grant = Grant { binding, ..living(repeated) };
        let refresh = Refresh { client: &public, generation: 3, key, window_seconds: WINDOW };
        assert_eq!(check_refresh(Some(&grant), &refresh, NOW + 30), expected);
    }
}

#[test]
fn s13_a_code_that_is_bound_to_a_key_is_exchanged_with_it_alone() {
    let (mine, other) = (Some([1; 32]), Some([2; 32]));
    let code =
        with_challenge(Grant { binding: Binding { key: mine, ..Binding::default() }, ..pending() });
    for (client, proved) in [(client(), true), (public_client(), false)] {
        for (key, expected) in [
            (mine, Ok(())),
            (None, denied(CodeFault::ProofMissing, proved, false)),
            (other, denied(CodeFault::KeyDiffers, proved, false)),
        ] {
            let exchange = Exchange {
                client: &client,
                redirect_uri: REDIRECT_URI,
                code_verifier: Some(&verifier()),
                key,
            };
            assert_eq!(check_exchange(Some(&code), &exchange, NOW), expected);
        }
    }
}
