//! Roles that postgres steps must not have: those that reach further than a database's own tables.

use bue_model::{Failure, FailureKind};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::database::Database;
use super::failure::from_server_error;

/// Returns the role's name and, if it may do too much, what. A role counts with all roles that it can change to. The search path
/// is set because an earlier step may have stored another one for the role, with operators of its own.
///
/// - Before PostgreSQL 16, a role with CREATEROLE can make itself a member of every role that is no superuser.
/// - Before PostgreSQL 11, only superusers can call the functions, whatever their privileges say.
const QUERY: &str = "
BEGIN;
SET LOCAL search_path = pg_catalog;
WITH mine AS (
    SELECT oid, rolname, rolsuper, rolcreaterole FROM pg_catalog.pg_roles WHERE pg_has_role(session_user, oid, 'MEMBER')
), version AS (
    SELECT current_setting('server_version_num')::int AS number
)
SELECT session_user, CASE
    WHEN EXISTS (SELECT FROM mine WHERE rolsuper) THEN 'superuser'
    WHEN EXISTS (
        SELECT FROM mine
        WHERE rolname IN ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
    ) THEN 'files'
    WHEN EXISTS (SELECT FROM mine, version WHERE rolcreaterole AND number < 160000) THEN 'files'
    WHEN EXISTS (
        SELECT FROM mine, version, unnest(ARRAY[
            'pg_read_file(text)', 'pg_read_binary_file(text)', 'lo_import(text)', 'lo_export(oid, text)'
        ]) AS name
        WHERE number >= 110000 AND has_function_privilege(mine.oid, to_regprocedure(name), 'EXECUTE')
    ) THEN 'files'
    WHEN EXISTS (
        SELECT FROM mine, pg_catalog.pg_namespace AS schema
        WHERE nspname = 'bue' AND has_schema_privilege(mine.oid, schema.oid, 'USAGE, CREATE')
    ) THEN 'hub'
END;
COMMIT";

/// Checks that the role of a connection is not too powerful.
///
/// # Errors
/// [`FailureKind::Denied`] if it is.
pub(super) async fn check_role(client: &Client, database: &Database) -> Result<(), Failure> {
    let messages = client.simple_query(QUERY).await;
    let messages =
        messages.map_err(|error| from_server_error(&error, "The rights of the role could not be checked"))?;
    let row = messages.iter().find_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = row
        .ok_or_else(|| Failure::new(FailureKind::Internal, "The server did not say what the role may do".to_owned()))?;
    let reason = match row.get(1) {
        None => return Ok(()),
        Some("superuser") => "it is a superuser or can become one, so a step could run programs on the server",
        Some("hub") => "it can access the schema `bue`, so a step could change the jobs of a hub",
        Some(_) => "it can reach the server's files or programs",
    };
    let message = format!(
        "The worker does not run steps as the role `{}` of PostgreSQL ({database}): {reason}. Give steps a role of their own \
         (docs/sql.md has the SQL), or start `bue worker`, or `bue run`, with `--allow-privileged-postgres`",
        row.get(0).unwrap_or_default()
    );
    Err(Failure::new(FailureKind::Denied, message))
}
