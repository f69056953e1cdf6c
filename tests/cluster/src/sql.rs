//! One statement on a connection of its own.

use std::time::Duration;

use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::Fault;

/// Runs it, and gives the first column of its rows. On a thread of its own, because a caller may be
/// inside an asynchronous runtime already.
pub(crate) fn execute(url: &str, sql: &str) -> Result<Vec<Option<String>>, Fault> {
    std::thread::scope(|scope| match scope.spawn(|| on_this_thread(url, sql)).join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn on_this_thread(url: &str, sql: &str) -> Result<Vec<Option<String>>, Fault> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Fault::Folder)?;
    let answered = runtime.block_on(async {
        let mut config: tokio_postgres::Config = url.parse()?;
        config.connect_timeout(Duration::from_secs(10));
        let (client, connection) = config.connect(NoTls).await?;
        let driver = tokio::spawn(connection);
        let rows = client.simple_query(sql).await;
        drop(client);
        let _ = driver.await;
        rows
    });
    let messages = answered.map_err(|source| Fault::Sql { sql: sql.to_owned(), source })?;
    Ok(messages
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
            _ => None,
        })
        .collect())
}
