//! A connection to the server, reset between steps.

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
use super::failure::error_chain;
use super::role::check_role;
use crate::step::log::{Channel, Log};

/// The timeout for what a healthy server does at once: a liveness check, `DISCARD ALL`, cancelling a statement.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection, used by one step at a time.
pub(super) struct Connection {
    pub(super) client: Client,
    notices: Notices,
    driver: JoinHandle<()>,
    tls: Option<MakeRustlsConnect>,
}

/// The log of the step that uses the connection, which gets the server's notices.
#[derive(Clone, Default)]
struct Notices(Arc<Mutex<Option<Log>>>);

impl Connection {
    /// Connects, and checks what the role may do.
    pub(super) async fn open(database: &Database) -> Result<Self, Failure> {
        let connection = Self::connect(database).await?;
        if !database.allows_privileged_role {
            let checked = timeout(RESPONSE_TIMEOUT, check_role(&connection.client, database)).await;
            checked.unwrap_or_else(|_| Err(too_slow(database)))?;
        }
        Ok(connection)
    }

    async fn connect(database: &Database) -> Result<Self, Failure> {
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

    /// Sends notices to this log from now on.
    pub(super) fn log_to(&self, log: &Log) {
        self.notices.set(Some(log.clone()));
    }

    /// Returns whether the server still answers.
    pub(super) async fn is_alive(&self) -> bool {
        !self.client.is_closed()
            && matches!(timeout(RESPONSE_TIMEOUT, self.client.check_connection()).await, Ok(Ok(())))
    }

    /// Resets the connection with `DISCARD ALL`: no settings, roles, locks, tables or prepared statements of the previous
    /// step remain. `None` if that fails.
    pub(super) async fn reset(self) -> Option<Self> {
        self.notices.set(None);
        let reset = timeout(RESPONSE_TIMEOUT, self.client.batch_execute("DISCARD ALL")).await;
        matches!(reset, Ok(Ok(()))).then_some(self)
    }

    /// Cancels the running statement and closes the connection.
    pub(super) async fn cancel_and_close(self) {
        // if the server cannot be reached, its `statement_timeout` ends the statement
        let cancel = self.client.cancel_token();
        let _ = match self.tls {
            Some(tls) => timeout(RESPONSE_TIMEOUT, cancel.cancel_query(tls)).await,
            None => timeout(RESPONSE_TIMEOUT, cancel.cancel_query(NoTls)).await,
        };
        let mut driver = self.driver;
        drop(self.client);
        if timeout(RESPONSE_TIMEOUT, &mut driver).await.is_err() {
            driver.abort();
        }
    }
}

impl Notices {
    fn set(&self, log: Option<Log>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = log;
    }

    fn log(&self, notice: &DbError) {
        if let Some(log) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            // the step checks its log's limit itself
            let _ = log.print(Channel::Err, format!("{}: {}\n", notice.severity(), notice.message()).as_bytes());
        }
    }
}

/// Drives the connection until either side closes it.
async fn drive<S, T>(mut connection: tokio_postgres::Connection<S, T>, notices: Notices)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(AsyncMessage::Notice(notice)) => notices.log(&notice),
            Ok(_) => {}
            Err(error) => return tracing::debug!(%error, "a connection to PostgreSQL ended"),
        }
    }
}

fn too_slow(database: &Database) -> Failure {
    let message = format!("PostgreSQL ({database}) did not say within {RESPONSE_TIMEOUT:?} what the role may do");
    Failure::new(FailureKind::Internal, message)
}

fn unreachable(database: &Database, error: &tokio_postgres::Error) -> Failure {
    let reason = error_chain(error);
    let message = format!("The worker cannot connect to PostgreSQL ({database}): {reason}");
    Failure::new(FailureKind::Internal, message)
}
