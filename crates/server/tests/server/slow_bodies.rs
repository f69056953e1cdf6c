//! Bodies that come slowly, or never whole. The times are shortened; nothing else is.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use grantor::http::{ClientAddress, Patience, router_with};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::Server;

/// Serves staging for callers who have that long.
async fn impatient(server: &Server, patience: Patience) -> SocketAddr {
    let caller = Extension(ClientAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    let router = router_with(Arc::clone(&server.staging), patience).layer(caller);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

/// Sends the head of a request, and then its body byte by byte with that pause, until an answer
/// comes. Answers with it, and how many bytes of the body went out.
async fn drip(address: SocketAddr, body: &str, pause: Duration) -> (String, usize) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let head = format!(
        "POST /oauth/token HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    to.write_all(head.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let mut sent = 0;
    let read = from.read(&mut answer);
    tokio::pin!(read);
    loop {
        tokio::select! {
            read = &mut read => {
                let length = read.unwrap();
                return (String::from_utf8_lossy(&answer[..length]).into_owned(), sent);
            }
            () = tokio::time::sleep(pause), if sent < body.len() => {
                to.write_all(&body.as_bytes()[sent..=sent]).await.unwrap();
                sent += 1;
            }
        }
    }
}

const BODY: &str = "grant_type=authorization_code&code=x&redirect_uri=https://x.example/";
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn s16_a_body_that_pauses_is_not_waited_for() {
    let server = Server::start().await;
    let patience = Patience { body_pause: Duration::from_millis(300), request: LONG };
    let address = impatient(&server, patience).await;
    let (answer, sent) = drip(address, BODY, Duration::from_secs(3)).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("The body did not arrive whole in time"), "{answer}");
    assert_eq!(sent, 0);

    // Short pauses, however many, are none of that.
    let (answer, sent) = drip(address, BODY, Duration::from_millis(10)).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert_eq!(sent, BODY.len());
}

#[tokio::test]
async fn s16_a_body_that_drips_without_a_pause_has_an_end_too() {
    let server = Server::start().await;
    let patience = Patience { body_pause: LONG, request: Duration::from_millis(500) };
    let address = impatient(&server, patience).await;
    let (answer, sent) = drip(address, BODY, Duration::from_millis(50)).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("x-request-id: "), "{answer}");
    assert!((1..BODY.len()).contains(&sent), "{sent}");
}

#[test]
fn s16_outside_tests_a_pause_is_ten_seconds_and_a_request_thirty() {
    let usual = Patience::default();
    assert_eq!((usual.body_pause.as_secs(), usual.request.as_secs()), (10, 30));
}
