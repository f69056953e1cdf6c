//! What many processes, lost answers and a kill do to one refresh token.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use grantor_client::connection::Ended;
use grantor_client::http::{Http, HttpError};
use grantor_client::renewal::RenewalError;
use tokio::io::AsyncReadExt as _;

use crate::party::{Party, ended};

/// How many processes share one connection.
const PROCESSES: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s15_sixteen_processes_at_the_moment_of_expiry_send_one_refresh_and_get_one_token() {
    // Without a window a second refresh would end the connection.
    for window in [None, Some(0)] {
        let party =
            Party::connected(|client| client.settings.refresh_window_seconds = window).await;
        let before = party.run(&["token"]).await.line();
        party.expire().await;
        let calls = party.wire.token_calls();
        let processes: Vec<_> =
            (0..PROCESSES).map(|_| party.command(&["token", "mine"]).spawn().unwrap()).collect();
        let mut tokens = Vec::new();
        for process in processes {
            tokens.push(ended(process).await.line());
        }
        assert_eq!(party.wire.token_calls(), calls + 1, "{window:?}");
        assert!(tokens.iter().all(|token| *token == tokens[0] && *token != before), "{tokens:?}");
        party.run(&["api", "GET", "/f/data/businesses"]).await.json();
        // And the new refresh token is the one that was kept.
        party.expire().await;
        assert_ne!(party.run(&["token"]).await.line(), tokens[0]);
        assert_eq!(party.generation(), 3);
    }
}

#[tokio::test]
async fn d11_a_lost_answer_is_asked_for_again_and_the_connection_goes_on() {
    let party = Party::connected(|_| ()).await;
    party.expire().await;
    party.wire.lose(1);
    let calls = party.wire.token_calls();
    let token = party.run(&["token"]).await.line();
    assert_eq!((party.wire.token_calls(), party.generation()), (calls + 2, 2));
    assert_eq!(party.mine().under_way_since, None);
    assert_eq!(party.run(&["token"]).await.line(), token);

    // Where all answers are lost, the old token and the mark stay, and the next call goes on.
    party.expire().await;
    party.wire.lose(3);
    party
        .run(&["token"])
        .await
        .refused(&["mine could not be renewed", "try again within a minute"]);
    assert!(party.mine().under_way_since.is_some());
    let shown = party.run(&["connections", "show", "--json"]).await.json();
    assert_eq!(shown["state"], "under_way");
    party.run(&["token"]).await.line();
    assert_eq!(party.generation(), 3);
}

#[tokio::test]
async fn d1_killed_between_the_servers_commit_and_its_own_disk_the_connection_survives() {
    let party = Party::connected(|_| ()).await;
    party.expire().await;
    let presented = party.mine().tokens.refresh_token.unwrap();
    party.wire.hold();
    let mut killed = party.command(&["token"]).spawn().unwrap();
    party.wire.held().await;
    // Another one waits meanwhile, and takes over.
    let waiting = party.command(&["token"]).spawn().unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    killed.kill().await.unwrap();
    let left = party.mine();
    let token = ended(waiting).await.line();
    assert_eq!(
        left.tokens.refresh_token.unwrap(),
        presented,
        "the old token was given up too early"
    );
    assert_eq!(party.generation(), 2);
    assert_eq!(party.mine().under_way_since, None);
    assert_eq!(party.run(&["token"]).await.line(), token);
    party.run(&["api", "GET", "/f/data/businesses"]).await.json();
}

#[tokio::test]
async fn d1_a_refresh_that_a_killed_process_left_is_settled_at_the_next_call_and_not_at_the_end() {
    let party = Party::connected(|_| ()).await;
    let before = party.run(&["token"]).await.line();
    // The API refuses the token before its time, so that it is replaced.
    party.server.clock.advance(4000);
    party.wire.hold();
    let mut killed = party.command(&["api", "GET", "/f/data/businesses"]).spawn().unwrap();
    party.wire.held().await;
    killed.kill().await.unwrap();
    let left = party.mine();
    assert!(left.under_way_since.is_some() && left.is_valid_for(60, left.renewed_at));
    assert_ne!(party.run(&["token"]).await.line(), before);
    assert_eq!((party.mine().under_way_since, party.generation()), (None, 2));
    party.run(&["api", "GET", "/f/data/businesses"]).await.json();
}

#[tokio::test]
async fn at_a_strict_server_a_lost_answer_ends_the_connection_and_it_is_said_why() {
    let party = Party::connected(|client| client.settings.refresh_window_seconds = Some(0)).await;
    party.expire().await;
    party.server.clock.advance(10);
    party.wire.hold();
    let mut killed = party.command(&["token"]).spawn().unwrap();
    party.wire.held().await;
    killed.kill().await.unwrap();
    // Later than any moment that a clock may lie apart.
    party.server.clock.advance(10);
    party.run(&["token"]).await.refused(&["the answer to a refresh was lost", "grantor connect"]);
    assert!(matches!(party.mine().ended, Some(Ended::AnswerLost { .. })));
    let calls = party.wire.token_calls();
    party.run(&["token"]).await.refused(&["the answer to a refresh was lost"]);
    assert_eq!(party.wire.token_calls(), calls, "a dead token is not sent again");
    let shown = party.run(&["connections", "show", "mine"]).await.done();
    assert!(shown.stdout.contains("ended"), "{shown:?}");
    // Connecting again puts a new connection in its place.
    party.connect(&["--name", "mine"]).await.done();
    party.expire().await;
    party.run(&["token"]).await.line();
}

/// The mark is on the disk, and the refresh token never reached the server: nothing is lost, also where
/// no answer is repeated.
#[tokio::test]
async fn d1_killed_between_the_mark_and_the_server_a_connection_survives_at_a_strict_server_too() {
    let party = Party::connected(|client| client.settings.refresh_window_seconds = Some(0)).await;
    party.expire().await;
    let before = party.mine();
    // Whoever connects there is never answered, and nobody reads what was sent.
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/oauth/token", nobody.local_addr().unwrap());
    party.change(|connection| connection.server.token_endpoint = url).await;
    let mut killed = party.command(&["token"]).spawn().unwrap();
    let marked = async {
        while party.mine().under_way_since.is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), marked).await.expect("a mark");
    killed.kill().await.unwrap();
    party.change(|connection| connection.server = before.server.clone()).await;
    assert!(party.mine().under_way_since.is_some());
    let token = party.run(&["token"]).await.line();
    assert_ne!(token, before.tokens.access_token.expose());
    assert_eq!((party.mine().under_way_since, party.generation()), (None, 2));
    party.run(&["api", "GET", "/f/data/businesses"]).await.json();
}

#[tokio::test]
async fn what_ended_at_the_server_is_told_apart_from_a_lost_answer() {
    let party = Party::connected(|_| ()).await;
    party.expire().await;
    party.server.execute("UPDATE grants SET revoked_at = 1");
    party
        .run(&["token"])
        .await
        .refused(&["the server refuses the refresh token", "grantor connect"]);
    assert!(matches!(party.mine().ended, Some(Ended::Refused { .. })));
}

#[tokio::test]
async fn a_server_that_is_away_takes_nothing_and_a_token_that_still_lives_is_handed_out() {
    let party = Party::connected(|_| ()).await;
    let before = party.mine();
    let away = "http://127.0.0.1:9/oauth/token";
    party.change(|connection| connection.server.token_endpoint = away.into()).await;
    party.nearly_expire().await;
    let token = party.run(&["token"]).await.line();
    assert_eq!(token, before.tokens.access_token.expose());
    party.expire().await;
    party.run(&["token"]).await.refused(&["mine could not be renewed", "cannot be reached"]);
    let after = party.mine();
    assert_eq!(after.tokens.refresh_token, before.tokens.refresh_token);
    assert_eq!((after.under_way_since, after.ended), (None, None), "nothing was sent");
    party.change(|connection| connection.server = before.server.clone()).await;
    party.run(&["token"]).await.line();
    assert_eq!(party.generation(), 2);
}

#[tokio::test]
async fn while_a_server_hangs_a_token_that_still_lives_is_handed_to_all_others() {
    let party = Party::connected(|_| ()).await;
    let before = party.mine().tokens.access_token;
    party.nearly_expire().await;
    party.wire.hold();
    let mut hanging = party.command(&["token"]).spawn().unwrap();
    party.wire.held().await;
    let calls = party.wire.token_calls();
    let other = tokio::time::timeout(Duration::from_secs(15), party.run(&["token"])).await;
    assert_eq!(other.expect("it waits for the one that hangs").line(), before.expose());
    assert_eq!(party.wire.token_calls(), calls);
    // With nobody in the way it is renewed.
    hanging.kill().await.unwrap();
    assert_ne!(party.run(&["token"]).await.line(), before.expose());
    assert_eq!(party.generation(), 2);
}

/// Its answer is read all the same: a server that does not repeat itself says it only once.
#[tokio::test]
async fn while_a_server_hangs_a_token_that_still_lives_is_handed_to_the_one_that_renews_too() {
    let party = Party::connected(|client| client.settings.refresh_window_seconds = Some(0)).await;
    for (round, arguments) in
        [&["token"][..], &["api", "GET", "/f/data/businesses"]].into_iter().enumerate()
    {
        let before = party.mine().tokens.access_token;
        party.nearly_expire().await;
        party.wire.delay();
        let mut child = party.command(arguments).spawn().unwrap();
        party.wire.held().await;
        let mut written = vec![0; 4096];
        let reading = child.stdout.as_mut().unwrap().read(&mut written);
        let read = tokio::time::timeout(Duration::from_secs(15), reading).await;
        let read = read.expect("it waits for the server").unwrap();
        let written = String::from_utf8_lossy(&written[..read]);
        assert!(round == 1 || written.trim_end() == before.expose(), "{written}");
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert!(child.try_wait().unwrap().is_none(), "it left in the middle of a refresh");
        party.wire.let_go();
        ended(child).await.done();
        assert_ne!(party.mine().tokens.access_token, before);
        assert_eq!(party.mine().under_way_since, None);
    }
    assert_eq!(party.generation(), 3);
    party.expire().await;
    party.run(&["token"]).await.line();
}

#[tokio::test]
async fn with_a_token_that_lives_an_old_mark_and_a_server_that_hangs_take_one_call_and_no_more() {
    let party = Party::connected(|_| ()).await;
    party.change(|connection| connection.under_way_since = Some(connection.renewed_at)).await;
    let (connections, before) = (party.connections(), party.mine());
    let calls = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&calls);
    let http = Http::given(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async {
            tokio::time::sleep(Duration::from_secs(4)).await;
            Err(HttpError::Lost { host: "the server".into(), why: "it hangs".into() })
        }
    });
    let valid = connections.valid(&http, "mine", None);
    let valid = tokio::time::timeout(Duration::from_secs(3), valid).await;
    let valid = valid.expect("it waits for the server").unwrap();
    assert_eq!(valid.tokens.access_token, before.tokens.access_token);
    connections.leave().await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    assert_eq!(party.mine().under_way_since, before.under_way_since);
    // Where all goes well again it is settled.
    assert_ne!(party.run(&["token"]).await.line(), before.tokens.access_token.expose());
}

#[tokio::test]
async fn a_failed_refresh_says_whether_an_answer_was_lost() {
    let party = Party::connected(|_| ()).await;
    let away = "http://127.0.0.1:9/oauth/token";
    let right = party.mine().server;
    party.expire().await;
    for lost in [false, true] {
        party
            .change(|connection| {
                connection.server.token_endpoint = away.into();
                connection.under_way_since = lost.then_some(connection.renewed_at);
            })
            .await;
        let error = party.connections().valid(&Http::new(), "mine", None).await.unwrap_err();
        let said = matches!(error, RenewalError::NotNow { lost, .. } if lost);
        assert_eq!(said, lost, "{error:?}");
        let answer = party.run(&["token"]).await.refused(&["cannot be reached"]);
        assert_eq!(answer.stderr.contains("try again within a minute"), lost, "{answer:?}");
    }
    party
        .change(|connection| {
            connection.server = right;
            connection.under_way_since = None;
        })
        .await;
    party.wire.lose(3);
    let error = party.connections().valid(&Http::new(), "mine", None).await.unwrap_err();
    assert!(matches!(error, RenewalError::NotNow { lost: true, .. }), "{error:?}");
}

#[tokio::test]
async fn a_server_that_puts_a_refresh_off_takes_nothing_from_a_token_that_still_lives() {
    let party = Party::connected(|_| ()).await;
    let (connections, before) = (party.connections(), party.mine());
    for body in [r#"{"error":"temporarily_unavailable"}"#, "<html>not so often</html>"] {
        let http = Http::given(move |_| async move {
            Ok(axum::http::Response::builder().status(429).body(body.into()).unwrap())
        });
        party.nearly_expire().await;
        let valid = connections.valid(&http, "mine", None).await.unwrap();
        assert_eq!(valid.tokens.access_token, before.tokens.access_token);
        party.expire().await;
        let error = connections.valid(&http, "mine", None).await.unwrap_err();
        assert!(matches!(error, RenewalError::NotNow { .. }), "{error}");
        let after = party.mine();
        assert_eq!((after.under_way_since, after.ended), (None, None), "nothing was done");
        assert_eq!(after.tokens.refresh_token, before.tokens.refresh_token);
    }
    party.run(&["token"]).await.line();
    assert_eq!(party.generation(), 2);
}

#[tokio::test]
async fn a_token_that_the_api_refused_is_never_handed_out_as_its_own_successor() {
    let party = Party::connected(|_| ()).await;
    let whole = party.mine();
    // By its own time it lives for long; the API says otherwise.
    party.server.clock.advance(4000);
    let api = ["api", "GET", "/f/data/businesses"];
    party
        .change(|connection| connection.server.token_endpoint = "http://127.0.0.1:9/".into())
        .await;
    party.run(&api).await.refused(&["mine could not be renewed", "cannot be reached"]);
    party.change(|connection| connection.tokens.refresh_token = None).await;
    party.run(&api).await.refused(&[
        "the API refused the token of mine before its time, and there is no refresh token",
        "grantor connect",
    ]);
    // Another API may take it: only its own time, or the server, ends a connection.
    assert_eq!(party.mine().ended, None);
    assert_eq!(party.run(&["token"]).await.line(), whole.tokens.access_token.expose());
    party.expire().await;
    party.run(&["token"]).await.refused(&["the server gave no refresh token"]);
    assert_eq!(party.mine().ended, Some(Ended::NoRefreshToken));
}

#[tokio::test]
async fn a_wrong_secret_does_not_end_a_connection() {
    let party = Party::connected(|_| ()).await;
    let right = party.mine().client_secret;
    party.expire().await;
    party
        .change(|one| one.client_secret = Some(grantor_client::secret::Secret::new("no".into())))
        .await;
    party.run(&["token"]).await.refused(&["the client secret is wrong"]);
    assert_eq!((party.mine().ended, party.mine().under_way_since), (None, None));
    party.change(|one| one.client_secret = right).await;
    party.run(&["token"]).await.line();
}

#[tokio::test]
async fn a_token_that_the_api_refuses_before_its_time_is_replaced_once() {
    let party = Party::connected(|_| ()).await;
    let token = party.mine().tokens.access_token;
    party.server.clock.advance(4000);
    party.run(&["api", "GET", "/f/data/businesses"]).await.json();
    assert_ne!(party.mine().tokens.access_token, token);
    assert_eq!(party.generation(), 2);
    // One that is refused for good is refused, after one more try.
    party.server.execute("UPDATE grants SET revoked_at = 1");
    party.run(&["api", "GET", "/f/data/businesses"]).await.refused(&["has ended"]);
}

/// The library by itself: an HTTP client of one's own, and many tasks of one process.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s15_sixteen_tasks_of_one_process_send_one_refresh_through_an_http_client_of_ones_own() {
    let party = Party::connected(|_| ()).await;
    party.expire().await;
    let own =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let http = Http::given(move |request| {
        let own = own.clone();
        async move {
            let lost = |error: reqwest::Error| HttpError::Lost {
                host: "the server".into(),
                why: error.to_string(),
            };
            let answer = own.execute(request.try_into().map_err(lost)?).await.map_err(lost)?;
            let mut response = axum::http::Response::builder().status(answer.status().as_u16());
            response.headers_mut().unwrap().extend(answer.headers().clone());
            Ok(response.body(answer.bytes().await.map_err(lost)?).unwrap())
        }
    });
    let calls = party.wire.token_calls();
    let connections = party.connections();
    let tasks: Vec<_> = (0..PROCESSES)
        .map(|_| {
            let (connections, http) = (connections.clone(), http.clone());
            tokio::spawn(async move { connections.valid(&http, "mine", None).await.unwrap() })
        })
        .collect();
    let mut tokens = Vec::new();
    for task in tasks {
        tokens.push(task.await.unwrap().tokens.access_token);
    }
    assert!(tokens.iter().all(|token| *token == tokens[0]));
    assert_eq!(party.wire.token_calls(), calls + 1);
    let nothing = connections.valid(&http, "nothing", None).await;
    assert!(matches!(nothing, Err(RenewalError::NoConnection { .. })));
}

/// Each would find the new token too short, and renew it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s15_whoever_waited_for_a_new_token_takes_it_also_where_they_ask_for_more_than_its_life() {
    let party = Party::connected(|_| ()).await;
    party.expire().await;
    let (connections, calls) = (party.connections(), party.wire.token_calls());
    let lock = connections.lock("mine").await.unwrap();
    let tasks: Vec<_> = (0..PROCESSES)
        .map(|_| {
            let (connections, http) = (connections.clone(), Http::new());
            tokio::spawn(async move { connections.valid(&http, "mine", Some(86_400)).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(500)).await;
    drop(lock);
    for task in tasks {
        let token = task.await.unwrap().unwrap().tokens.access_token;
        assert_eq!(token, party.mine().tokens.access_token);
    }
    assert_eq!(party.wire.token_calls(), calls + 1);
}

/// A worker whose patience is shorter than the server's answer takes nothing from the others.
#[tokio::test(flavor = "multi_thread")]
async fn d1_a_caller_that_goes_away_in_the_middle_of_a_refresh_cancels_nothing() {
    let party = Party::connected(|_| ()).await;
    party.expire().await;
    let (connections, http) = (party.connections(), Http::new());
    let before = party.mine().tokens.access_token;
    let name = party.mine().name;
    tokio::select! {
        biased;
        _ = connections.valid(&http, &name, None) => panic!("no refresh takes no time"),
        // It was begun, and is dropped.
        () = std::future::ready(()) => {}
    }
    let renewed = async {
        while party.mine().tokens.access_token == before {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), renewed).await.expect("a renewed connection");
    assert_eq!(party.mine().under_way_since, None);
}
