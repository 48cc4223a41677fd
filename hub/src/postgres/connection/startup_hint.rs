//! What to do about an error that keeps a hub from starting. Nothing here contains a password.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::error::postgres_error_text;

/// Returns what to do about an error that keeps a hub from starting.
pub(in crate::postgres) fn startup_hint(error: &Error) -> &'static str {
    let Some(code) = error.code() else { return hint_without_code(&postgres_error_text(error)) };
    let hints = [
        (&SqlState::INVALID_PASSWORD, "set the right password in the address or in POSTGRES_PASSWORD"),
        (
            &SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            "check in the server's pg_hba.conf whether this user may connect from here, with TLS (sslmode=require) or \
             without (sslmode=disable)",
        ),
        (&SqlState::INVALID_CATALOG_NAME, "create the database with `createdb`, or name another one"),
        (&SqlState::INSUFFICIENT_PRIVILEGE, "grant the privilege: GRANT CREATE ON DATABASE … TO …"),
        (&SqlState::READ_ONLY_SQL_TRANSACTION, "this is a standby or read-only: name the primary server"),
        (&SqlState::TOO_MANY_CONNECTIONS, "raise max_connections, or let fewer programs connect"),
        (&SqlState::CANNOT_CONNECT_NOW, "the server is starting or stopping: start the hub again in a moment"),
    ];
    let hint = hints.into_iter().find(|(known, _)| *known == code);
    hint.map_or("look for the cause in the server's log", |(_, hint)| hint)
}

fn hint_without_code(text: &str) -> &'static str {
    if text.contains("does not support TLS") {
        "give the server a certificate (ssl = on), or connect without TLS: sslmode=disable"
    } else if text.contains("certificate") {
        "name the authority that signed the server's certificate with sslrootcert=PATH, and the server by the name in its \
         certificate; sslmode=require checks neither"
    } else if text.contains("password missing") {
        "set the password in the address or in POSTGRES_PASSWORD"
    } else if text.contains("user missing") {
        "name the user in the address or in POSTGRES_USER"
    } else {
        "check whether PostgreSQL runs and listens there, and whether host and port are right"
    }
}
