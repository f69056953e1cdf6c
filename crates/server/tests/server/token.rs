//! `/oauth/token`: how a call may be written, and how it may not.

use grantor_protocol::environment::Environment;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::calls::{Call, assert_unspent, exchange_form, issue, row};
use crate::harness::{Server, encode, form_body};

const FORM: &str = "application/x-www-form-urlencoded";

#[tokio::test]
async fn the_standard_form_and_the_guides_query_bring_the_same_members_in_both_environments() {
    let server = Server::start().await;
    for environment in Environment::ALL {
        let site = server.site(environment);
        let client = server.client_with(environment, |_| ()).await;
        let (one, other) = (issue(site, &client).await, issue(site, &client).await);
        let mut guide = exchange_form(&client, &one);
        guide.push(("client-id", &client.id));
        let mut standard = exchange_form(&client, &other);
        standard.push(("client_id", &client.id));
        let guide = Call::to(site).basic(&client).query(&guide).header("Content-Length", b"0");
        for call in [guide, Call::to(site).basic(&client).form(&standard)] {
            let answer = call.send().await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let mut members: Vec<_> = answer.body.as_object().unwrap().keys().collect();
            members.sort();
            assert_eq!(
                members,
                ["access_token", "expires_in", "refresh_token", "scope", "token_type"]
            );
            assert_eq!(answer.headers["content-type"], "application/json");
            assert_eq!(answer.headers["cache-control"], "no-store");
            assert_eq!(answer.headers["pragma"], "no-cache");
        }
    }
}

#[tokio::test]
async fn s14_one_id_under_every_name_in_both_places_is_fine() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let ids = [("client_id", client.id.as_str()), ("client-id", client.id.as_str())];
    let form = [exchange_form(&client, &issued), ids.to_vec()].concat();
    let answer = Call::to(&server.staging).basic(&client).query(&form).form(&form).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test]
async fn s14_an_id_that_contradicts_is_refused_under_each_name_and_the_code_still_works() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let form = exchange_form(&client, &issued);
    for name in ["client_id", "client-id"] {
        let other = [(name, "devp-staging-other")];
        let in_query = Call::to(&server.staging).basic(&client).query(&other).form(&form);
        let in_body = Call::to(&server.staging).basic(&client).form(&[&form[..], &other].concat());
        for call in [in_query, in_body] {
            let words = "not the one in the Authorization header";
            call.send().await.assert_error(400, "invalid_request", words);
        }
    }
    // Two names with two values, or one name in two places, of which one is right.
    let both = [("client-id", client.id.as_str()), ("client_id", "devp-staging-other")];
    let calls = [
        Call::to(&server.staging).basic(&client).form(&[&form[..], &both].concat()),
        Call::to(&server.staging)
            .basic(&client)
            .query(&both[..1])
            .form(&[&form[..], &both[1..]].concat()),
    ];
    for call in calls {
        call.send().await.assert_error(400, "invalid_request", "client_id was sent twice");
    }
    assert_unspent(&server, &client, &issued).await;
}

#[tokio::test]
async fn s16_in_both_places_two_values_are_refused_one_is_taken_and_nothing_is_spent() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let form = exchange_form(&client, &issued);
    for (name, other) in [
        ("grant_type", "refresh_token"),
        ("code", "another-code"),
        ("redirect_uri", "https://mycompany.com/"),
    ] {
        let call = Call::to(&server.staging).basic(&client).query(&[(name, other)]).form(&form);
        let words = format!("The parameter {name} was sent twice, with two values");
        call.send().await.assert_error(400, "invalid_request", &words);
    }
    let same = Call::to(&server.staging).basic(&client).query(&form).form(&form).send().await;
    assert_eq!(same.status, 200, "{same:?}");
}

#[tokio::test]
async fn s5_one_parameter_twice_or_as_an_array_is_refused_in_query_and_body() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let form = form_body(&exchange_form(&client, &issued));
    for (more, words) in [
        (format!("code={}", encode(&issued.code)), "\"code\" was sent more than once"),
        ("grant_type=authorization_code".to_owned(), "\"grant_type\" was sent more than once"),
        ("code=".to_owned(), "\"code\" was sent more than once"),
        ("x=1&x=1".to_owned(), "\"x\" was sent more than once"),
        ("code%5B%5D=a".to_owned(), "\"code\" is written as an array"),
        ("redirect_uri[0]=a".to_owned(), "\"redirect_uri\" is written as an array"),
    ] {
        let words = words.replace('"', "'");
        let text = format!("{form}&{more}");
        let in_body = Call::to(&server.staging).basic(&client).body(FORM, text.as_bytes());
        let in_query = Call::to(&server.staging).basic(&client).raw_query(&text);
        for call in [in_body, in_query] {
            call.send().await.assert_error(400, "invalid_request", &words);
        }
    }
    assert_unspent(&server, &client, &issued).await;
}

#[tokio::test]
async fn u8_a_body_that_is_json_or_of_another_kind_is_named_and_spends_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let json = serde_json::json!({
        "grant_type": "authorization_code", "code": issued.code, "redirect_uri": client.redirect_uri,
    })
    .to_string();
    let form = form_body(&exchange_form(&client, &issued));
    for (content_type, body, words) in [
        ("application/json", &json, "The body is JSON"),
        ("Application/JSON; charset=utf-8", &json, "The body is JSON"),
        ("text/plain", &json, "The body is JSON"),
        ("text/plain", &form, "Content-Type: application/x-www-form-urlencoded"),
        (
            "multipart/form-data; boundary=x",
            &form,
            "Content-Type: application/x-www-form-urlencoded",
        ),
        ("", &form, "Content-Type: application/x-www-form-urlencoded"),
    ] {
        let call = Call::to(&server.staging).basic(&client).body(content_type, body.as_bytes());
        call.send().await.assert_error(400, "invalid_request", words);
    }
    let call = Call::to(&server.staging).basic(&client);
    let answer = call.body("application/x-www-form-urlencoded; charset=UTF-8", form.as_bytes());
    assert_eq!(answer.send().await.status, 200);
}

#[tokio::test]
async fn s16_a_body_of_64_kib_is_read_and_one_byte_more_is_413() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let form = form_body(&exchange_form(&client, &issued));
    let filled = |length: usize| format!("{form}&{}", "&".repeat(length - form.len() - 1));
    let call =
        |body: &str| Call::to(&server.staging).basic(&client).body(FORM, body.as_bytes()).send();
    let refused = call(&filled(64 * 1024 + 1)).await;
    refused.assert_error(413, "invalid_request", "larger than 65536 bytes");
    let taken = call(&filled(64 * 1024)).await;
    assert_eq!(taken.status, 200, "{taken:?}");
}

#[tokio::test]
async fn s16_a_chunked_body_without_a_length_is_cut_at_64_kib_too() {
    let server = Server::start().await;
    let address = server.staging.base_url.strip_prefix("http://").unwrap();
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /oauth/token HTTP/1.1\r\nHost: {address}\r\nContent-Type: {FORM}\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).await.unwrap();
    for _ in 0..5 {
        let chunk = format!("4000\r\n{}\r\n", "&".repeat(0x4000));
        if socket.write_all(chunk.as_bytes()).await.is_err() {
            break;
        }
    }
    let mut answer = [0; 64];
    let read = socket.read(&mut answer).await.unwrap();
    assert!(answer[..read].starts_with(b"HTTP/1.1 413"), "{:?}", &answer[..read]);
}

#[tokio::test]
async fn s16_any_method_but_post_is_405_with_allow_and_spends_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let form = exchange_form(&client, &issued);
    for method in ["GET", "PUT", "DELETE", "PATCH", "HEAD", "NONSENSE"] {
        let call = Call::to(&server.staging).method(method).basic(&client).query(&form);
        let answer = call.send().await;
        assert_eq!(answer.status, 405, "{method} {answer:?}");
        assert_eq!(answer.headers["allow"], "POST", "{method}");
        if method != "HEAD" {
            answer.assert_error(405, "invalid_request", "Send a POST.");
        }
    }
    assert_unspent(&server, &client, &issued).await;
}

#[tokio::test]
async fn s16_ten_thousand_characters_in_any_parameter_are_a_clear_error() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let form = exchange_form(&client, &issued);
    let long = "x".repeat(10_000);
    for name in ["grant_type", "code", "redirect_uri", "client_id", "client-id", "state", "scope"] {
        let mut form: Vec<_> = form.iter().filter(|pair| pair.0 != name).copied().collect();
        form.push((name, &long));
        for call in [
            Call::to(&server.staging).basic(&client).form(&form),
            Call::to(&server.staging).basic(&client).query(&form),
        ] {
            let words = format!("'{name}' has 10000 bytes; the limit is 4096");
            call.send().await.assert_error(400, "invalid_request", &words);
        }
    }
    for name in ["code_verifier", "refresh_token", "client_secret"] {
        let form = [&form[..], &[(name, long.as_str())]].concat();
        let answer = Call::to(&server.staging).basic(&client).form(&form).send().await;
        answer.assert_error(400, "invalid_request", "has 10000 bytes");
    }
    let long_name = [&form[..], &[(long.as_str(), "x")]].concat();
    let answer = Call::to(&server.staging).basic(&client).form(&long_name).send().await;
    answer.assert_error(400, "invalid_request", "name of a parameter is longer than 64 bytes");
    let many: String = (0..64).map(|at| format!("&p{at}=x")).collect();
    let many = format!("{}{many}", form_body(&form));
    let answer = Call::to(&server.staging).basic(&client).body(FORM, many.as_bytes()).send().await;
    answer.assert_error(400, "invalid_request", "more than 64 parameters");
    assert_unspent(&server, &client, &issued).await;
}

#[tokio::test]
async fn s16_bytes_that_are_no_utf8_and_escapes_cut_short_are_a_clear_error() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let form = form_body(&exchange_form(&client, &issued));
    for more in ["state=%ff", "state=%C3%28", "state=%4", "state=%zz", "state=a%00", "%ff=x"] {
        let text = format!("{form}&{more}");
        let in_body = Call::to(&server.staging).basic(&client).body(FORM, text.as_bytes());
        let in_query = Call::to(&server.staging).basic(&client).raw_query(&text);
        for call in [in_body, in_query] {
            call.send().await.assert_error(400, "invalid_request", "is not valid UTF-8");
        }
    }
    let raw = [form.as_bytes(), b"&state=\xff\xfe"].concat();
    let answer = Call::to(&server.staging).basic(&client).body(FORM, &raw).send().await;
    answer.assert_error(400, "invalid_request", "is not valid UTF-8");
    assert_unspent(&server, &client, &issued).await;
}

#[tokio::test]
async fn s16_a_target_or_header_of_raw_bytes_is_answered_400_and_never_500() {
    let server = Server::start().await;
    let address = server.staging.base_url.strip_prefix("http://").unwrap().to_owned();
    let head = format!("Host: {address}\r\nContent-Length: 0\r\nConnection: close\r\n");
    for request in [
        [b"POST /oauth/token?code=\xff\xfe HTTP/1.1\r\n".as_slice(), head.as_bytes(), b"\r\n"],
        [
            b"POST /oauth/token HTTP/1.1\r\n".as_slice(),
            head.as_bytes(),
            b"Authorization: Basic \xff\xfe\r\n\r\n",
        ],
        [
            b"POST /oauth/token HTTP/1.1\r\n".as_slice(),
            head.as_bytes(),
            b"Content-Type: \xff\xfe\r\n\r\n",
        ],
    ] {
        let mut socket = tokio::net::TcpStream::connect(&address).await.unwrap();
        socket.write_all(&request.concat()).await.unwrap();
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).await.unwrap();
        let status = std::str::from_utf8(&answer[..12]).unwrap();
        assert!(matches!(status, "HTTP/1.1 400" | "HTTP/1.1 401"), "{status}");
    }
}

#[tokio::test]
async fn an_unsupported_grant_type_and_what_is_missing_are_named_and_spend_nothing() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let form = exchange_form(&client, &issued);
    for grant_type in ["password", "implicit", "Authorization_Code", "code"] {
        let form = [&form[1..], &[("grant_type", grant_type)]].concat();
        let answer = Call::to(&server.staging).basic(&client).form(&form).send().await;
        let words =
            "grant_type takes authorization_code, refresh_token, client_credentials and urn";
        answer.assert_error(400, "unsupported_grant_type", words);
    }
    for (at, missing) in ["grant_type", "code", "redirect_uri"].into_iter().enumerate() {
        let mut form = form.clone();
        form.remove(at);
        for empty in [false, true] {
            if empty {
                form.push((missing, ""));
            }
            let answer = Call::to(&server.staging).basic(&client).form(&form).send().await;
            let words = format!("The parameter {missing} is missing");
            answer.assert_error(400, "invalid_request", &words);
        }
    }
    let answer = server.token(&client, &[("grant_type", "refresh_token")]).await;
    answer.assert_error(400, "invalid_request", "The parameter refresh_token is missing");
    assert_unspent(&server, &client, &issued).await;
}

#[tokio::test]
async fn each_error_carries_a_link_into_the_docs_of_this_server_and_the_id_of_its_request() {
    let server = Server::start().await;
    let client = server.client().await;
    let answer = server.exchange(&client, "nonsense").await;
    answer.assert_error(400, "invalid_grant", "This is not a code of this server");
    let uri = answer.text("error_uri");
    assert!(uri.starts_with(&format!("{}/docs/", server.staging.base_url)), "{uri}");
    assert!(uri.contains('#'), "{uri}");
    assert_eq!(answer.text("request_id"), answer.headers["x-request-id"]);
    assert_eq!(answer.headers["pragma"], "no-cache");
}

#[tokio::test]
async fn s16_what_is_refused_changes_no_column_of_the_grant() {
    let server = Server::start().await;
    let client = server.client().await;
    let issued = issue(&server.staging, &client).await;
    let before = row(&server, issued.grant_id).await;
    let form = exchange_form(&client, &issued);
    for call in [
        Call::to(&server.staging).form(&form),
        Call::to(&server.staging).basic(&client).form(&form[..2]),
        Call::to(&server.staging).basic(&client).query(&[("password", "x")]).form(&form),
    ] {
        assert!((400..500).contains(&call.send().await.status));
    }
    assert_eq!(row(&server, issued.grant_id).await, before);
}
