//! Finds arithmetic in the program that SQLite compiled from a statement.

use rusqlite::{Connection, Result};

/// An instruction of SQLite's virtual machine.
struct Instruction {
    opcode: String,
    p1: i64,
    p2: i64,
    p3: i64,
}

/// Returns whether a statement adds, subtracts or multiplies with SQLite's own operators, which round, or takes a remainder
/// with `%`, which ignores what is behind the point.
pub(in crate::sqlite) fn has_arithmetic(connection: &Connection, statement: &str) -> Result<bool> {
    let program = program(connection, statement)?;
    Ok((0..program.len()).any(|at| is_arithmetic(&program, at)))
}

fn program(connection: &Connection, statement: &str) -> Result<Vec<Instruction>> {
    let mut explain = connection.prepare(&format!("EXPLAIN {statement}"))?;
    let instructions = explain.query_map([], |row| {
        Ok(Instruction { opcode: row.get("opcode")?, p1: row.get("p1")?, p2: row.get("p2")?, p3: row.get("p3")? })
    })?;
    instructions.collect()
}

fn is_arithmetic(program: &[Instruction], at: usize) -> bool {
    let Some(Instruction { opcode, p1, p2, p3 }) = program.get(at) else { return false };
    match opcode.as_str() {
        "Multiply" | "Remainder" => true,
        "Add" | "Subtract" => {
            // lag, lead, first_value and nth_value compute the number of a row, which the next instructions look up
            let is_row_number =
                program.iter().skip(at + 1).take(2).any(|next| next.opcode == "SeekRowid" && next.p3 == *p3);
            // the offsets of a window frame in rows
            let is_integer =
                |register: i64| program.iter().any(|other| other.opcode == "MustBeInt" && other.p1 == register);
            !(is_row_number || is_integer(*p1) && is_integer(*p2))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_arithmetic_on_values_is_found() {
        let connection = Connection::open_in_memory().expect("a database");
        let schema = "CREATE TABLE t(a, b); CREATE VIEW v AS SELECT a * b AS c FROM t; CREATE TABLE g(a, b AS (a + 1));
                      CREATE TABLE r(a); CREATE TRIGGER i AFTER INSERT ON r BEGIN UPDATE t SET a = a - new.a; END";
        connection.execute_batch(schema).expect("tables");
        for statement in [
            "SELECT a + b FROM t",
            "SELECT 1 WHERE 0.1 + 0.2 = 0.3",
            "SELECT -a FROM t",
            "SELECT a % b FROM t",
            "SELECT * FROM v",
            "SELECT * FROM g",
            "INSERT INTO r VALUES (1)",
            "SELECT a FROM t ORDER BY a * 2",
            "SELECT sum(a) OVER (ORDER BY b RANGE BETWEEN 0.1 PRECEDING AND CURRENT ROW) FROM t",
        ] {
            assert!(has_arithmetic(&connection, statement).expect(statement), "{statement}");
        }
        for statement in [
            "SELECT a, b, -5, a / b, count(*) FROM t GROUP BY a LIMIT 3 OFFSET 2",
            "SELECT lag(a) OVER w, lag(a, 2) OVER w, lead(a, 1) OVER w, nth_value(a, 2) OVER w, first_value(a) OVER w
             FROM t WINDOW w AS (ORDER BY b)",
            "SELECT max(a) OVER (ORDER BY b ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING),
             max(a) OVER (ORDER BY b ROWS BETWEEN 1 FOLLOWING AND 2 FOLLOWING) FROM t",
            "WITH n AS (SELECT a FROM t UNION SELECT b FROM t) SELECT * FROM n",
            "CREATE TABLE x(a)",
            "BEGIN",
        ] {
            assert!(!has_arithmetic(&connection, statement).expect(statement), "{statement}");
        }
    }
}
