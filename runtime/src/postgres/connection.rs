//! One connection: made, listened to, cleaned or closed.

use core::future::poll_fn;
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use bue_model::{Failure, FailureKind};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::error::DbError;
use tokio_postgres::{AsyncMessage, Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::database::Database;
use super::failure::reasons;
use crate::step::log::{Channel, Log};

/// For what a healthy server does at once: to say that it lives, to forget what a step left, to stop a statement.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A connection, used by one step at a time.
pub(super) struct Connection {
    pub(super) client: Client,
    notices: Notices,
    driver: JoinHandle<()>,
    tls: Option<MakeRustlsConnect>,
}

/// Where the server's notices go: to the log of the step that uses the connection.
#[derive(Clone, Default)]
struct Notices(Arc<Mutex<Option<Log>>>);

impl Connection {
    pub(super) async fn open(database: &Database) -> Result<Self, Failure> {
        let failed = |error| unreachable(database, &error);
        let notices = Notices::default();
        let tls = database.tls.clone();
        let (client, driver) = match tls.clone() {
            Some(tls) => {
                let (client, connection) = database.config.connect(tls).await.map_err(failed)?;
                (client, tokio::spawn(drive(connection, notices.clone())))
            }
            None => {
                let (client, connection) = database.config.connect(NoTls).await.map_err(failed)?;
                (client, tokio::spawn(drive(connection, notices.clone())))
            }
        };
        Ok(Self { client, notices, driver, tls })
    }

    /// Notices go to this log from now on.
    pub(super) fn log_to(&self, log: &Log) {
        self.notices.set(Some(log.clone()));
    }

    /// Does the server still answer?
    pub(super) async fn is_alive(&self) -> bool {
        !self.client.is_closed() && matches!(timeout(AT_ONCE, self.client.check_connection()).await, Ok(Ok(())))
    }

    /// The connection as if it were new: no settings, roles, locks, tables or prepared statements of the step before.
    /// `None` if it cannot be had.
    pub(super) async fn cleaned(self) -> Option<Self> {
        self.notices.set(None);
        let cleaned = timeout(AT_ONCE, self.client.batch_execute("DISCARD ALL")).await;
        matches!(cleaned, Ok(Ok(()))).then_some(self)
    }

    /// Stops what runs, and closes.
    pub(super) async fn stop(self) {
        // where the server cannot be told, its own `statement_timeout` ends the statement
        let cancel = self.client.cancel_token();
        let _ = match self.tls {
            Some(tls) => timeout(AT_ONCE, cancel.cancel_query(tls)).await,
            None => timeout(AT_ONCE, cancel.cancel_query(NoTls)).await,
        };
        let mut driver = self.driver;
        drop(self.client);
        if timeout(AT_ONCE, &mut driver).await.is_err() {
            driver.abort();
        }
    }
}

impl Notices {
    fn set(&self, log: Option<Log>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = log;
    }

    fn note(&self, notice: &DbError) {
        if let Some(log) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            // whoever runs the step sees that the log is over its limit
            let _ = log.print(Channel::Err, format!("{}: {}\n", notice.severity(), notice.message()).as_bytes());
        }
    }
}

/// Moves bytes until either side closes.
async fn drive<S, T>(mut connection: tokio_postgres::Connection<S, T>, notices: Notices)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(AsyncMessage::Notice(notice)) => notices.note(&notice),
            Ok(_) => {}
            Err(error) => return tracing::debug!(%error, "a connection to PostgreSQL ended"),
        }
    }
}

fn unreachable(database: &Database, error: &tokio_postgres::Error) -> Failure {
    let why = reasons(error);
    let message = format!("The worker cannot connect to PostgreSQL ({database}): {why}");
    Failure::new(FailureKind::Internal, message)
}
