//! What stands between a partner and the server: it counts calls, and loses answers on purpose.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// How long the answer of the server is waited for before it is thrown away.
const ANSWER: Duration = Duration::from_secs(5);

/// A wire, with a port of its own.
#[derive(Clone)]
pub(crate) struct Wire(Arc<Inner>);

struct Inner {
    address: SocketAddr,
    server: OnceLock<String>,
    /// How many calls of the token endpoint came.
    token_calls: AtomicU64,
    /// How many answers of it are still to be lost.
    to_lose: AtomicI64,
    /// Whether its answers are held back for ever.
    holds: AtomicI64,
    held: Notify,
    released: Notify,
    /// What is answered to the next call of it, in the place of the server.
    instead: Mutex<Option<(u16, &'static str)>>,
    /// Whether its answers are kept until they are let go.
    delays: AtomicI64,
    let_go: Notify,
    /// What was sent to the token endpoint.
    sent: Mutex<String>,
}

impl Wire {
    /// Listens; [`Wire::leads_to`] says where it leads.
    pub(crate) async fn lay() -> Wire {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let wire = Wire(Arc::new(Inner {
            address: listener.local_addr().unwrap(),
            server: OnceLock::new(),
            token_calls: AtomicU64::new(0),
            to_lose: AtomicI64::new(0),
            holds: AtomicI64::new(0),
            held: Notify::new(),
            released: Notify::new(),
            instead: Mutex::default(),
            delays: AtomicI64::new(0),
            let_go: Notify::new(),
            sent: Mutex::default(),
        }));
        let own = wire.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(own.clone().carry(stream));
            }
        });
        wire
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.0.address)
    }

    pub(crate) fn leads_to(&self, url: &str) {
        self.0.server.set(url.strip_prefix("http://").unwrap().to_owned()).unwrap();
    }

    /// How many calls of the token endpoint came until now.
    pub(crate) fn token_calls(&self) -> u64 {
        self.0.token_calls.load(Ordering::SeqCst)
    }

    /// The values of that field in what was sent to the token endpoint.
    pub(crate) fn sent(&self, field: &str) -> Vec<String> {
        let (sent, field) = (self.0.sent.lock().unwrap(), format!("{field}="));
        let values = sent.split(&field).skip(1);
        values.map(|rest| rest.split(['&', '\n']).next().unwrap().to_owned()).collect()
    }

    /// Loses the next answers of the token endpoint: the server acts, and nobody hears of it.
    pub(crate) fn lose(&self, answers: i64) {
        self.0.to_lose.store(answers, Ordering::SeqCst);
    }

    /// Answers the next call of the token endpoint itself, with what was sent for `SENT`: the server
    /// hears nothing of it.
    pub(crate) fn answer_instead(&self, status: u16, body: &'static str) {
        *self.0.instead.lock().unwrap() = Some((status, body));
    }

    /// Holds the next answer of the token endpoint back for ever.
    pub(crate) fn hold(&self) {
        self.0.holds.store(1, Ordering::SeqCst);
    }

    /// Keeps the next answer of the token endpoint until [`Wire::let_go`].
    pub(crate) fn delay(&self) {
        self.0.delays.store(1, Ordering::SeqCst);
    }

    pub(crate) fn let_go(&self) {
        self.0.let_go.notify_one();
    }

    /// Waits until an answer is held back or kept: the server has acted.
    pub(crate) async fn held(&self) {
        tokio::time::timeout(Duration::from_secs(20), self.0.held.notified()).await.unwrap();
    }

    /// Hangs up on whoever waits for an answer that is held back.
    pub(crate) fn hang_up(&self) {
        self.0.released.notify_one();
    }

    async fn carry(self, mut partner: TcpStream) {
        let mut head = vec![0; 8192];
        let Ok(read @ 1..) = partner.read(&mut head).await else {
            return;
        };
        head.truncate(read);
        let is_token_call = head.starts_with(b"POST /oauth/token");
        if is_token_call {
            self.0.token_calls.fetch_add(1, Ordering::SeqCst);
            let text = String::from_utf8_lossy(&head);
            self.0.sent.lock().unwrap().push_str(&format!("{text}\n"));
            let instead = self.0.instead.lock().unwrap().take();
            if let Some((status, body)) = instead {
                partner.write_all(echoing(status, body, &text).as_bytes()).await.unwrap();
                return;
            }
        }
        let mut server = TcpStream::connect(self.0.server.get().unwrap()).await.unwrap();
        server.write_all(&head).await.unwrap();
        if is_token_call {
            if self.0.holds.fetch_sub(1, Ordering::SeqCst) > 0 {
                return self.hold_back(partner, server).await;
            }
            if self.0.delays.fetch_sub(1, Ordering::SeqCst) > 0 {
                let answer = wait_for_answer(&mut partner, &mut server).await;
                self.0.held.notify_one();
                self.0.let_go.notified().await;
                // A partner that is gone is not answered.
                let _ = partner.write_all(&answer).await;
            }
            if self.0.to_lose.fetch_sub(1, Ordering::SeqCst) > 0 {
                wait_for_answer(&mut partner, &mut server).await;
                return;
            }
        }
        // Whoever goes first takes the other along.
        let _ = tokio::io::copy_bidirectional(&mut partner, &mut server).await;
    }

    async fn hold_back(&self, mut partner: TcpStream, mut server: TcpStream) {
        wait_for_answer(&mut partner, &mut server).await;
        self.0.held.notify_one();
        let mut rest = [0; 1024];
        tokio::select! {
            () = self.0.released.notified() => {}
            () = async { while matches!(partner.read(&mut rest).await, Ok(1..)) {} } => {}
        }
    }
}

/// An answer that says what was sent where it says `SENT`.
pub(crate) fn echoing(status: u16, body: &str, sent: &str) -> String {
    let body = body.replace("SENT", &sent.replace(['\r', '\n', '"'], " "));
    format!("HTTP/1.1 {status} Echo\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Carries the rest of the request, and reads the answer, for whoever may want it.
async fn wait_for_answer(partner: &mut TcpStream, server: &mut TcpStream) -> Vec<u8> {
    let (mut rest, mut answer) = ([0; 8192], vec![0; 8192]);
    let answered = async {
        loop {
            tokio::select! {
                sent = partner.read(&mut rest) => match sent {
                    Ok(read @ 1..) => server.write_all(&rest[..read]).await.unwrap(),
                    _ => return 0,
                },
                came = server.read(&mut answer) => {
                    let came = came.unwrap();
                    assert!(came > 0, "the server answered nothing");
                    return came;
                }
            }
        }
    };
    let came = tokio::time::timeout(ANSWER, answered).await.expect("no answer to lose");
    answer.truncate(came);
    answer
}
