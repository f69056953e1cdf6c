//! Makes the programme, through the server's own store.
//!
//! 1. `fill/partners.rs`: partners with their people, apps on staging and on production, requests;
//! 2. `fill/calls.rs`: the log of their calls, and what those have shown;
//! 3. `fill/webhooks.rs`: endpoints with what was delivered;
//! 4. `fill/customers.rs`: test customers, and customers with connected apps.
//!
//! One partner is as large as the bounds allow: [`LARGEST`].

mod calls;
mod customers;
mod partners;
mod webhooks;

use std::future::Future;

use tokio::task::JoinSet;

use super::ground::Ground;
use crate::database::Database;
use crate::failure::Failure;
use crate::load::now;
use crate::report::say;

/// How many writes are under way at a time: they share commits.
const AT_ONCE: usize = 64;
/// The place of the largest partner among all.
const LARGEST: usize = 0;

/// How large everything is: it follows from the number of clients.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    clients: usize,
}

/// Where there is something to look at.
pub(super) struct Filled {
    /// Partners, the largest first.
    pub(super) partners: Vec<[u8; 16]>,
    /// An app of the largest partner on staging, whose log is as long as it may be.
    pub(super) app: String,
    /// Its half on production.
    pub(super) production_app: String,
    /// A call of its log, by request id.
    pub(super) request_id: String,
    /// A request of the largest partner that was approved.
    pub(super) decided: [u8; 16],
    /// One that its owner was asked about.
    pub(super) asked_back: [u8; 16],
    /// One of somebody else, which waits.
    pub(super) waiting: [u8; 16],
    /// An endpoint of the largest partner, with many deliveries.
    pub(super) endpoint: [u8; 16],
    /// API clients, each with its secret: of the company, and of the largest partner.
    pub(super) programs: [(String, String); 2],
}

/// The apps that were made, by their ids.
struct Apps {
    /// Those of the largest partner come first.
    staging: Vec<String>,
    production: Vec<String>,
    /// One app of each partner, in their order.
    first: Vec<String>,
}

impl Size {
    /// For so many clients.
    pub(crate) fn of(clients: u32) -> Size {
        Size { clients: clients as usize }
    }

    fn partners(self) -> usize {
        self.clients / 10
    }

    /// Requests that were approved, each of which made a production client.
    fn approved(self) -> usize {
        self.clients * 3 / 100
    }

    fn declined(self) -> usize {
        self.clients / 100
    }

    fn asked_back(self) -> usize {
        self.clients / 200
    }

    fn waiting(self) -> usize {
        self.clients / 50
    }

    /// Apps that have no half on production.
    fn alone(self) -> usize {
        self.declined() + self.asked_back() + self.waiting()
    }

    fn staging(self) -> usize {
        (self.clients + self.alone()) / 2
    }

    fn calls(self) -> usize {
        self.clients * 10
    }
}

/// Makes all of it.
pub(super) async fn fill(
    ground: &Ground,
    size: Size,
    database: &Database,
) -> Result<Filled, Failure> {
    let begin = now();
    let say = |what: &str| say(&format!("after {:>4} s: {what} …", begin.elapsed().as_secs()));
    say("partners and people");
    let partners = partners::partners(ground, size).await?;
    partners::staff(ground).await?;
    say("apps on staging");
    let (staging, first) = partners::staging(ground, size, &partners).await?;
    say("requests, and apps on production");
    let (production, requests) = partners::production(ground, size, &partners, &staging).await?;
    database.execute(partners::LINK).await?;
    let programs = partners::programs(ground, partners[LARGEST]).await?;
    let apps = Apps { staging, production, first };
    say("the log of calls");
    let request_id = calls::calls(ground, size, &apps).await?;
    say("webhooks");
    let endpoint = webhooks::webhooks(ground, &partners, &apps).await?;
    say("customers");
    customers::test_customers(ground, &partners).await?;
    customers::customers(ground, size, &apps).await?;
    let [decided, asked_back, waiting] = requests;
    Ok(Filled {
        app: apps.staging[LARGEST].clone(),
        production_app: apps.production[LARGEST].clone(),
        partners,
        request_id,
        decided,
        asked_back,
        waiting,
        endpoint,
        programs,
    })
}

/// Carries out all of them, many at a time.
async fn at_once<W>(writes: impl IntoIterator<Item = W>) -> Result<(), Failure>
where
    W: Future<Output = Result<(), Failure>> + Send + 'static,
{
    let mut running = JoinSet::new();
    for write in writes {
        if running.len() >= AT_ONCE {
            ended(running.join_next().await)?;
        }
        running.spawn(write);
    }
    while let Some(one) = running.join_next().await {
        ended(Some(one))?;
    }
    Ok(())
}

fn ended(one: Option<Result<Result<(), Failure>, tokio::task::JoinError>>) -> Result<(), Failure> {
    match one {
        None | Some(Ok(Ok(()))) => Ok(()),
        Some(Ok(Err(failure))) => Err(failure),
        Some(Err(error)) => Err(Failure::said(format!("a write broke off: {error}"))),
    }
}

/// What was refused would be missing.
fn done(done: bool, what: &str) -> Result<(), Failure> {
    match done {
        true => Ok(()),
        false => Err(Failure::said(format!("{what} was refused by the store"))),
    }
}
