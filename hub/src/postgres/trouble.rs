//! What a database that says no is told to people as: what it said, and what to do. Nothing here holds a password.

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::error::postgres_error_text;

/// What whoever starts a hub can do about it.
pub(super) fn advice(error: &Error) -> &'static str {
    let Some(code) = error.code() else { return advice_without_code(&postgres_error_text(error)) };
    let advices = [
        (&SqlState::INVALID_PASSWORD, "set the right password in the address or in POSTGRES_PASSWORD"),
        (
            &SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
            "see the server's pg_hba.conf: whether it lets this user in from here, and whether it wants TLS \
             (sslmode=require) or none (sslmode=disable)",
        ),
        (&SqlState::INVALID_CATALOG_NAME, "make the database with `createdb`, or name another one"),
        (&SqlState::INSUFFICIENT_PRIVILEGE, "let the user in: GRANT CREATE ON DATABASE … TO …"),
        (&SqlState::READ_ONLY_SQL_TRANSACTION, "this is a standby or set to read only: name the primary server"),
        (&SqlState::TOO_MANY_CONNECTIONS, "raise max_connections, or let fewer programs connect"),
        (&SqlState::CANNOT_CONNECT_NOW, "the server is starting or stopping: start the hub again in a moment"),
    ];
    let found = advices.into_iter().find(|(of, _)| *of == code);
    found.map_or("see the server's log for what it means", |(_, advice)| advice)
}

fn advice_without_code(text: &str) -> &'static str {
    if text.contains("does not support TLS") {
        "give the server a certificate (ssl = on), or go without TLS: sslmode=disable"
    } else if text.contains("certificate") {
        "name the authority that signed the server's certificate with sslrootcert=PATH, and the server by the name in its \
         certificate; sslmode=require does not look at either"
    } else if text.contains("password missing") {
        "set the password in the address or in POSTGRES_PASSWORD"
    } else if text.contains("user missing") {
        "name the user in the address or in POSTGRES_USER"
    } else {
        "see whether PostgreSQL runs and listens there, and whether host and port are right"
    }
}
