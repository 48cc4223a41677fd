//! A connection to the server, reset between steps.

use core::future::poll_fn;
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};

use bue_model::{Failure, FailureKind};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::error::DbError;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{AsyncMessage, Client, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::database::Database;
use super::dial::{Server, ServerStream, servers};
use super::failure::error_chain;
use super::message_limit::{Limited, LimitedTls, MessageLimit};
use super::role::check_role;
use crate::step::log::{Channel, Log};

/// The timeout for what a healthy server does at once: a liveness check, `DISCARD ALL`, cancelling a statement.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// A connection, used by one step at a time.
pub(super) struct Connection {
    pub(super) client: Client,
    notices: Notices,
    driver: JoinHandle<()>,
    /// Of what the server may send at once.
    limit: MessageLimit,
    /// To cancel a statement.
    database: Database,
    server: Server,
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

    /// Connects to the first server of a database that accepts it.
    async fn connect(database: &Database) -> Result<Self, Failure> {
        let (servers, problem) = servers(&database.config).await;
        let mut reason = problem.map_or_else(|| "it has no address".to_owned(), |error| error.to_string());
        for server in servers {
            match Self::open_at(database, server).await {
                Ok(connection) => return Ok(connection),
                Err(error) => reason = error,
            }
        }
        Err(unreachable(database, &reason))
    }

    async fn open_at(database: &Database, server: Server) -> Result<Self, String> {
        let (notices, limit) = (Notices::default(), MessageLimit::default());
        let stream = server.dial(&database.config).await.map_err(|error| error.to_string())?;
        let failed = |error: tokio_postgres::Error| error_chain(&error);
        let (client, driver) = match &database.tls {
            Some(tls) => {
                let tls = LimitedTls { tls: tls_to(tls, &server)?, limit: limit.clone() };
                let (client, connection) = database.config.connect_raw(stream, tls).await.map_err(failed)?;
                (client, tokio::spawn(drive(connection, notices.clone())))
            }
            None => {
                let stream = Limited::new(stream, limit.clone());
                let (client, connection) = database.config.connect_raw(stream, NoTls).await.map_err(failed)?;
                (client, tokio::spawn(drive(connection, notices.clone())))
            }
        };
        check_session(&client, database).await?;
        Ok(Self { client, notices, driver, limit, database: database.clone(), server })
    }

    /// Sends notices to this log from now on, and accepts rows up to this limit on results.
    pub(super) fn use_for(&self, log: &Log, result_bytes: u64) {
        self.notices.set(Some(log.clone()));
        self.limit.set_for_results(result_bytes);
    }

    /// Returns the length of the row, notice or error that was too long, after which the connection was closed.
    pub(super) fn refused_message(&self) -> Option<u64> {
        self.limit.refused()
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
        matches!(reset, Ok(Ok(()))).then(|| {
            self.limit.set_for_results(0);
            self
        })
    }

    /// Cancels the running statement and closes the connection.
    pub(super) async fn cancel_and_close(self) {
        // if the server cannot be reached, its `statement_timeout` ends the statement
        let _ = timeout(RESPONSE_TIMEOUT, self.cancel()).await;
        let mut driver = self.driver;
        drop(self.client);
        if timeout(RESPONSE_TIMEOUT, &mut driver).await.is_err() {
            driver.abort();
        }
    }
}

impl Connection {
    /// Cancels the running statement, over a connection of its own.
    async fn cancel(&self) -> Result<(), String> {
        let cancel = self.client.cancel_token();
        let stream = self.server.dial(&self.database.config).await.map_err(|error| error.to_string())?;
        let sent = match &self.database.tls {
            Some(tls) => cancel.cancel_query_raw(stream, tls_to(tls, &self.server)?).await,
            None => cancel.cancel_query_raw(stream, NoTls).await,
        };
        sent.map_err(|error| error_chain(&error))
    }
}

/// Returns the connector for a server.
fn tls_to(
    tls: &MakeRustlsConnect,
    server: &Server,
) -> Result<<MakeRustlsConnect as MakeTlsConnect<ServerStream>>::TlsConnect, String> {
    let connector = MakeTlsConnect::<ServerStream>::make_tls_connect(&mut tls.clone(), &server.name);
    connector.map_err(|error| error.to_string())
}

/// Checks that a server is of the kind that `target_session_attrs` asks for.
async fn check_session(client: &Client, database: &Database) -> Result<(), String> {
    let wanted = match database.config.get_target_session_attrs() {
        TargetSessionAttrs::ReadWrite => "off",
        TargetSessionAttrs::ReadOnly => "on",
        _ => return Ok(()),
    };
    let messages = client.simple_query("SHOW transaction_read_only").await.map_err(|error| error_chain(&error))?;
    let is_wanted = messages.iter().any(|message| match message {
        SimpleQueryMessage::Row(row) => row.get(0) == Some(wanted),
        _ => false,
    });
    match is_wanted {
        true => Ok(()),
        false => Err("the server is not of the kind that target_session_attrs asks for".to_owned()),
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

fn unreachable(database: &Database, reason: &str) -> Failure {
    let message = format!("The worker cannot connect to PostgreSQL ({database}): {reason}");
    Failure::new(FailureKind::Internal, message)
}
