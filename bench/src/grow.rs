//! Many grants: how refresh and introspection fare with ten thousand in the table, and with N.
//!
//! 1. one grant goes through the server, and is the template of all others: its row is copied with
//!    every column that the table has, so that no column can be forgotten here when the schema
//!    changes (`generate`);
//! 2. the ids of the copies are ordered by time, as the server's own are, and computed, so that
//!    nothing has to be kept of them;
//! 3. their tokens are sealed here, with the keys that the data folder's master key opens
//!    (`Forge`): the server takes them for its own.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use grantor::clock::Clock;
use grantor::keys::Keys;
use grantor::master_key::MasterKey;
use grantor::random::Random;
use grantor::seal::{AccessSeal, RefreshSeal, Sealer};
use grantor::store::{Address, Store};
use grantor_protocol::environment::Environment;
use grantor_protocol::scope::Scope;
use rusqlite::types::Value;

use crate::client::Response;
use crate::database::Engine;
use crate::failure::Failure;
use crate::load::{Requests, now};
use crate::measure::{Cell, Window, measure};
use crate::report::{Target, say};
use crate::server::{Installation, SCOPES};
use crate::stage::Stage;
use crate::workload::{Wire, Workload};

/// What the large table is held against.
const FEW: u64 = 10_000;
/// No more rows share one commit.
const ROWS_A_COMMIT: u64 = 100_000;
/// The first id's upper half: a UUIDv7 of some day, from where the copies count upwards.
const FIRST_ID: u64 = 0x0190_0000_0000_0000;
const WINDOW: Window = Window { warm_up: Duration::from_secs(1), measured: Duration::from_secs(3) };

/// The arguments of `bench grow`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many grants
    #[arg(long, default_value_t = 10_000_000)]
    grants: u64,
    /// On whose disk the data lies [default: the system's folder for temporary files]
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
}

/// What seals the tokens of the copies.
struct Forge {
    sealer: Arc<Sealer>,
    generation: i64,
    turned_at: i64,
    idle_expires_at: i64,
}

/// Asks about grants that are drawn from the whole table, none of them twice for a refresh.
struct Drawn {
    forge: Rc<Forge>,
    wire: Wire,
    workload: Workload,
    /// From where on, and how many.
    first: u64,
    grants: u64,
    /// How many were drawn.
    drawn: u64,
}

/// Measures.
pub(crate) async fn run(arguments: &Arguments) -> Result<Vec<Target>, Failure> {
    let stage = Stage::set(Engine::Sqlite, arguments.folder.as_deref()).await?;
    let path = stage.database.path()?;
    stage.tokens(1).await?;
    let mut database = Generator::open(path)?;
    let forge = Rc::new(database.forge(&stage.installation).await?);
    let workloads = [Workload::Refresh, Workload::Introspection];

    let mut few = Vec::new();
    database.generate(0..FEW)?;
    for workload in workloads {
        few.push(cell(&stage, &forge, workload, FEW).await?);
    }
    database.generate(FEW..arguments.grants)?;
    let mut targets = Vec::new();
    for (workload, few) in workloads.into_iter().zip(few) {
        let many = cell(&stage, &forge, workload, arguments.grants).await?;
        let name = workload.name();
        say(&format!(
            "{name}: p50 {:.3} ms with {FEW} grants, {:.3} ms with {}",
            few.p50_ms, many.p50_ms, arguments.grants
        ));
        let name = format!("{name}: p50 with {} grants over that with {FEW}", arguments.grants);
        targets.push(Target::at_most(name, 1.3, many.p50_ms / few.p50_ms));
        targets.push(Target::at_most("resident memory, MiB", 150.0, many.resident_mib));
    }
    Ok(targets)
}

async fn cell(
    stage: &Stage,
    forge: &Rc<Forge>,
    workload: Workload,
    grants: u64,
) -> Result<Cell, Failure> {
    // What was refreshed while there were few is not drawn again when there are many.
    let first = if grants == FEW { 0 } else { FEW };
    let drawn = Drawn {
        forge: Rc::clone(forge),
        wire: stage.wire(),
        workload,
        first,
        grants: grants - first,
        drawn: 0,
    };
    measure(&stage.subject(workload), vec![Box::new(drawn)], WINDOW).await
}

/// A connection beside the server's, and the template's id.
struct Generator {
    connection: rusqlite::Connection,
    path: PathBuf,
    template: Vec<u8>,
}

impl Generator {
    fn open(path: &Path) -> Result<Generator, Failure> {
        let connection = rusqlite::Connection::open(path)?;
        connection.execute_batch("PRAGMA busy_timeout=60000; PRAGMA synchronous=NORMAL")?;
        // Of all grants that went through the server, the one that was exchanged.
        let sql = "SELECT id FROM grants WHERE environment = 'staging' AND generation = 1";
        let template = connection.query_row(sql, [], |row| row.get(0))?;
        Ok(Generator { connection, path: path.to_owned(), template })
    }

    /// Copies the template's row, with every column that the table has but the id.
    fn generate(&mut self, which: std::ops::Range<u64>) -> Result<(), Failure> {
        let columns = self.columns()?;
        let list = columns.join(", ");
        let read = format!("SELECT {list} FROM grants WHERE environment = 'staging' AND id = $1");
        let at = columns.iter().position(|column| column == "id");
        let at = at.ok_or_else(|| Failure::said("a grant has no id any more"))?;
        let mut row: Vec<Value> = self.connection.query_row(&read, [&self.template], |row| {
            (0..columns.len()).map(|column| row.get(column)).collect()
        })?;
        let places: Vec<String> = (1..=columns.len()).map(|place| format!("?{place}")).collect();
        let insert = format!("INSERT INTO grants ({list}) VALUES ({})", places.join(", "));
        let begin = now();
        let mut from = which.start;
        while from < which.end {
            let to = which.end.min(from + ROWS_A_COMMIT);
            let transaction = self.connection.transaction()?;
            {
                let mut insert = transaction.prepare_cached(&insert)?;
                for number in from..to {
                    if let Some(place) = row.get_mut(at) {
                        *place = Value::Blob(id(number).to_vec());
                    }
                    insert.execute(rusqlite::params_from_iter(&row))?;
                }
            }
            transaction.commit()?;
            from = to;
        }
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        let size = std::fs::metadata(&self.path).map_or(0, |file| file.len());
        say(&format!(
            "{} grants in {:.0} s; the database has {} MiB",
            which.end,
            begin.elapsed().as_secs_f64(),
            size / 1024 / 1024
        ));
        Ok(())
    }

    fn columns(&self) -> Result<Vec<String>, Failure> {
        let mut names = self.connection.prepare("SELECT name FROM pragma_table_info('grants')")?;
        let names = names.query_map([], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    /// Opens the data folder's keys, and reads what the template's tokens were sealed from.
    async fn forge(&self, installation: &Installation) -> Result<Forge, Failure> {
        let said = |error: &dyn std::error::Error| Failure::said(error.to_string());
        let (clock, random) = (Clock::system(), Random::system());
        let master_key =
            MasterKey::read(&installation.master_key()).map_err(|error| said(&error))?;
        let store = Store::open(&Address::Sqlite(self.path.clone()), &clock).await?;
        let keys = Keys::open(&store, &master_key, &clock, &random).await;
        let keys = keys.map_err(|error| said(&error))?;
        let sql = "SELECT generation, turned_at, idle_expires_at FROM grants \
                   WHERE environment = 'staging' AND id = $1";
        let of_template = self
            .connection
            .query_row(sql, [&self.template], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        let (generation, turned_at, idle_expires_at) = of_template;
        let sealer = keys.sealer(Environment::Staging);
        Ok(Forge { sealer, generation, turned_at, idle_expires_at })
    }
}

impl Forge {
    fn refresh_token(&self, grant_id: [u8; 16]) -> String {
        let (generation, expires_at) = (self.generation, self.idle_expires_at);
        self.sealer.refresh(&RefreshSeal { grant_id, generation, expires_at }, self.turned_at)
    }

    fn access_token(&self, grant_id: [u8; 16]) -> String {
        self.sealer.access(&AccessSeal {
            grant_id,
            generation: self.generation,
            expires_at: self.turned_at + 3600,
            issued_at: self.turned_at,
            token_id: [7; 8],
            scope: Scope::parse(SCOPES).unwrap_or_default(),
            binding: grantor_protocol::grant::Binding::default(),
        })
    }
}

impl Requests for Drawn {
    fn next(&mut self, out: &mut Vec<u8>) -> bool {
        // A prime far from any power of two, which shares no factor with the number of grants as
        // they are asked for in practice: every grant is drawn once before any is drawn twice.
        let grant_id = id(self.first + self.drawn.wrapping_mul(7_368_787) % self.grants);
        self.drawn += 1;
        if self.workload == Workload::Refresh && self.drawn > self.grants {
            return false;
        }
        if self.workload == Workload::Refresh {
            let token = self.forge.refresh_token(grant_id);
            let form = ["grant_type=refresh_token&refresh_token=", &token];
            self.wire.post(out, "/oauth/token", &form);
        } else {
            let token = self.forge.access_token(grant_id);
            self.wire.post(out, "/oauth/introspect", &["token=", &token]);
        }
        true
    }

    fn took(&mut self, response: &Response<'_>) -> Result<(), Failure> {
        match response.status {
            200 if !response.body.contains("\"active\":false") => Ok(()),
            other => Err(Failure::said(format!("answered {other}: {}", response.body))),
        }
    }
}

/// The id of a copy: ordered by its number, and with noise in its lower half.
fn id(number: u64) -> [u8; 16] {
    let mut noise = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    noise = (noise ^ (noise >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    noise = (noise ^ (noise >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((u128::from(FIRST_ID + number) << 64) | u128::from(noise)).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ids_of_copies_are_ordered_and_no_two_are_equal() {
        let ids: Vec<[u8; 16]> = (0..10_000).map(id).collect();
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
