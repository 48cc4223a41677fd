//! Replaces the operators `+`, `-`, `*` and `%` of a statement by calls of functions: the exact ones in a step with decimals,
//! and those that notice an overflow in another one.
//!
//! This reads expressions only as far as operators bind: `~ + -` before an operand, then COLLATE, then `|| -> ->>`, then
//! `* / %`, then `+ -`. Everything else is copied. What it does not understand stays as it is, and `inspect.rs` refuses the
//! arithmetic that is left.

use super::token::{Kind, Token, tokens};

/// Parentheses inside each other at most.
const MAX_DEPTH: usize = 100;

/// Words that are not operands: the keywords that SQLite never reads as a name, and those before which an operator is a sign.
pub(super) const KEYWORDS: &[&str] = &[
    "add",
    "all",
    "alter",
    "and",
    "as",
    "autoincrement",
    "between",
    "by",
    "check",
    "collate",
    "commit",
    "constraint",
    "create",
    "default",
    "deferrable",
    "delete",
    "distinct",
    "drop",
    "else",
    "end",
    "escape",
    "except",
    "exists",
    "explain",
    "foreign",
    "from",
    "glob",
    "group",
    "having",
    "in",
    "index",
    "insert",
    "intersect",
    "into",
    "is",
    "isnull",
    "join",
    "like",
    "limit",
    "match",
    "not",
    "nothing",
    "notnull",
    "offset",
    "on",
    "or",
    "order",
    "primary",
    "references",
    "regexp",
    "returning",
    "select",
    "set",
    "table",
    "then",
    "to",
    "transaction",
    "union",
    "unique",
    "update",
    "using",
    "values",
    "when",
    "where",
];

/// What the functions compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sqlite) enum Arithmetic {
    /// Exact decimals.
    Exact,
    /// What SQLite computes, but an integer that overflows fails.
    Checked,
}

impl Arithmetic {
    fn function(self, operator: &str) -> Option<&'static str> {
        match (self, operator) {
            (Self::Exact, "+") => Some("decimal_add"),
            (Self::Exact, "-") => Some("decimal_sub"),
            (Self::Exact, "*") => Some("decimal_mul"),
            (Self::Exact, "%") => Some("decimal_mod"),
            (Self::Checked, "+") => Some("checked_add"),
            (Self::Checked, "-") => Some("checked_sub"),
            (Self::Checked, "*") => Some("checked_mul"),
            _ => None,
        }
    }
}

/// Returns the statement with its operators replaced; `None` if it has none.
pub(in crate::sqlite) fn rewrite(statement: &str, arithmetic: Arithmetic) -> Option<String> {
    let tokens = tokens(statement);
    let mut rewriter = Rewriter { arithmetic, tokens, at: 0, depth: 0, end: None, is_changed: false };
    let mut text = String::with_capacity(statement.len() * 2);
    while rewriter.peek().kind != Kind::End {
        rewriter.sequence(&mut text);
        // a closing parenthesis without an opening one: SQLite refused the statement before
        if rewriter.peek().kind != Kind::End {
            rewriter.copy(&mut text);
        }
    }
    text.push_str(rewriter.peek().before);
    (rewriter.is_changed && rewriter.depth <= MAX_DEPTH).then_some(text)
}

struct Rewriter<'t> {
    arithmetic: Arithmetic,
    tokens: Vec<Token<'t>>,
    at: usize,
    /// Of parentheses and CASEs. Beyond [`MAX_DEPTH`] everything is given up.
    depth: usize,
    /// The word that ends this sequence, beside a closing parenthesis.
    end: Option<&'static str>,
    is_changed: bool,
}

/// A part of an expression, and the spaces and comments before it.
struct Part<'t> {
    before: &'t str,
    text: String,
}

impl Part<'_> {
    fn push_to(&self, text: &mut String) {
        text.push_str(self.before);
        text.push_str(&self.text);
    }
}

impl<'t> Rewriter<'t> {
    fn peek(&self) -> Token<'t> {
        self.peek_at(0)
    }

    fn peek_at(&self, distance: usize) -> Token<'t> {
        let end = Token { kind: Kind::End, before: "", text: "" };
        self.tokens.get(self.at + distance).or(self.tokens.last()).copied().unwrap_or(end)
    }

    fn take(&mut self) -> Token<'t> {
        let token = self.peek();
        self.at += 1;
        token
    }

    /// Copies the next token.
    fn copy(&mut self, text: &mut String) {
        let token = self.take();
        text.push_str(token.before);
        text.push_str(token.text);
    }

    /// Copies up to a closing parenthesis, the word that ends the sequence or the end of the text, which it does not take.
    fn sequence(&mut self, text: &mut String) {
        loop {
            let token = self.peek();
            if token.kind == Kind::End || token.is(")") || self.end.is_some_and(|end| token.is(end)) {
                return;
            }
            if self.is_operand() {
                self.sum().push_to(text);
            } else {
                self.copy(text);
            }
        }
    }

    /// Does an expression begin here?
    fn is_operand(&self) -> bool {
        let token = self.peek();
        match token.kind {
            Kind::Literal | Kind::Number | Kind::Quoted => true,
            Kind::Word => !token.is_one_of(KEYWORDS),
            Kind::Symbol => token.is_one_of(&["(", "+", "-", "~"]),
            Kind::End => false,
        }
    }

    fn sum(&mut self) -> Part<'t> {
        self.chain(&["+", "-"], Self::product)
    }

    fn product(&mut self) -> Part<'t> {
        self.chain(&["*", "/", "%"], Self::concatenation)
    }

    fn concatenation(&mut self) -> Part<'t> {
        self.chain(&["||", "->", "->>"], Self::collated)
    }

    /// Operands with operators of one precedence, from left to right.
    fn chain(&mut self, operators: &[&str], operand: fn(&mut Self) -> Part<'t>) -> Part<'t> {
        let mut left = operand(self);
        while self.peek().is_one_of(operators) {
            let operator = self.take();
            if !self.is_operand() {
                left.text.push_str(operator.before);
                left.text.push_str(operator.text);
                return left;
            }
            let right = operand(self);
            left.text = self.join(&left.text, operator, &right);
        }
        left
    }

    fn join(&mut self, left: &str, operator: Token<'_>, right: &Part<'_>) -> String {
        let Token { before, text, .. } = operator;
        let Some(function) = self.arithmetic.function(text) else {
            return format!("{left}{before}{text}{}{}", right.before, right.text);
        };
        self.is_changed = true;
        format!("{function}({left}{before},{}{})", right.before, right.text)
    }

    fn collated(&mut self) -> Part<'t> {
        let mut part = self.signed();
        while self.peek().is("collate") {
            self.copy(&mut part.text);
            self.copy(&mut part.text);
        }
        part
    }

    /// An operand with the signs before it. The sign of a number stays: it is part of the number.
    fn signed(&mut self) -> Part<'t> {
        let mut signs = Vec::new();
        while self.peek().is_one_of(&["+", "-", "~"]) {
            signs.push(self.take());
        }
        let is_number = self.peek().kind == Kind::Number;
        let mut part = self.operand();
        for (position, sign) in signs.iter().rev().enumerate() {
            let inner = format!("{}{}", part.before, part.text);
            let text = match sign.text {
                "-" if is_number && position == 0 => format!("-{inner}"),
                text => match self.arithmetic.function(text).filter(|_| text == "-") {
                    Some(function) => {
                        self.is_changed = true;
                        format!("{function}(0,{inner})")
                    }
                    None => format!("{text}{inner}"),
                },
            };
            part = Part { before: sign.before, text };
        }
        part
    }

    fn operand(&mut self) -> Part<'t> {
        let first = self.take();
        let mut text = first.text.to_owned();
        match first.kind {
            Kind::Symbol if first.is("(") => self.group(&mut text),
            Kind::Word if first.is("case") => self.nested(Some("end"), &mut text),
            Kind::Word if first.is("cast") && self.peek().is("(") => self.cast(&mut text),
            Kind::Word | Kind::Quoted => self.name(&mut text),
            _ => {}
        }
        Part { before: first.before, text }
    }

    /// The rest of a name, and of the function that it calls.
    fn name(&mut self, text: &mut String) {
        while self.peek().is(".") {
            self.copy(text);
            self.copy(text);
        }
        if self.peek().is("(") {
            self.copy(text);
            self.group(text);
            self.function_suffix(text);
        }
    }

    /// `FILTER (…)` and `OVER (…)` behind a function.
    fn function_suffix(&mut self, text: &mut String) {
        if self.peek().is("filter") && self.peek_at(1).is("(") {
            self.copy(text);
            self.copy(text);
            self.group(text);
        }
        if self.peek().is("over") {
            self.copy(text);
            let is_group = self.peek().is("(");
            self.copy(text);
            if is_group {
                self.group(text);
            }
        }
    }

    /// Everything up to the closing parenthesis, with it.
    fn group(&mut self, text: &mut String) {
        self.nested(None, text);
    }

    /// `(x AS REAL)` behind CAST: SQLite would round a text of many digits.
    fn cast(&mut self, text: &mut String) {
        self.copy(text);
        let mut operand = String::new();
        self.inside(Some("as"), &mut operand);
        if let Some(check) = self.cast_check().filter(|_| self.arithmetic == Arithmetic::Exact) {
            self.is_changed = true;
            operand = format!("{check}({operand})");
        }
        text.push_str(&operand);
        self.group(text);
    }

    /// What checks the operand of a cast to the type at `AS REAL)`, if that is one of floats or of numbers with a fraction, by
    /// SQLite's rules.
    fn cast_check(&self) -> Option<&'static str> {
        let name = self.tokens.iter().skip(self.at).take_while(|token| !token.is(")") && token.kind != Kind::End);
        let name: String = name.skip(1).map(|token| token.text.to_ascii_uppercase()).collect();
        let contains = |words: &[&str]| words.iter().any(|word| name.contains(word));
        match () {
            () if contains(&["INT", "CHAR", "CLOB", "TEXT", "BLOB"]) => None,
            () if contains(&["REAL", "FLOA", "DOUB"]) => Some("decimal_flt"),
            () => Some("decimal_num"),
        }
    }

    /// A sequence and what ends it.
    fn nested(&mut self, end: Option<&'static str>, text: &mut String) {
        self.inside(end, text);
        if self.peek().kind != Kind::End {
            self.copy(text);
        }
    }

    fn inside(&mut self, end: Option<&'static str>, text: &mut String) {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            self.at = self.tokens.len();
            return;
        }
        let outer = core::mem::replace(&mut self.end, end);
        self.sequence(text);
        self.end = outer;
        // too deep stays too deep
        if self.depth <= MAX_DEPTH {
            self.depth -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::{Config, TestRunner};

    use super::super::{functions, inspect};
    use super::*;

    #[test]
    fn operators_become_calls() {
        for (statement, expected) in [
            ("SELECT a+b", "SELECT decimal_add(a,b)"),
            ("SELECT a - b * c - d", "SELECT decimal_sub(decimal_sub(a , decimal_mul(b , c)) , d)"),
            ("SELECT t.a*2/b%3", "SELECT decimal_mod(decimal_mul(t.a,2)/b,3)"),
            ("SELECT -a, - 5, -5-x", "SELECT decimal_sub(0,a), - 5, decimal_sub(-5,x)"),
            ("SELECT a||b*c", "SELECT decimal_mul(a||b,c)"),
            ("SELECT a -- minus\n - b", "SELECT decimal_sub(a -- minus\n , b)"),
            (
                "SELECT CASE WHEN a THEN -b ELSE c END*2",
                "SELECT decimal_mul(CASE WHEN a THEN decimal_sub(0,b) ELSE c END,2)",
            ),
            (
                "SELECT sum(a*b) FILTER (WHERE a>1) OVER (ORDER BY -a)+1",
                "SELECT decimal_add(sum(decimal_mul(a,b)) FILTER (WHERE a>1) OVER (ORDER BY decimal_sub(0,a)),1)",
            ),
            (
                "SELECT CAST(a AS REAL), CAST(b AS DECIMAL(10, 2)), CAST(c AS INTEGER), CAST((SELECT d AS e) AS TEXT)",
                "SELECT CAST(decimal_flt(a) AS REAL), CAST(decimal_num(b) AS DECIMAL(10, 2)), CAST(c AS INTEGER), \
                 CAST((SELECT d AS e) AS TEXT)",
            ),
            ("SELECT (a+b)*c COLLATE x", "SELECT decimal_mul((decimal_add(a,b)),c COLLATE x)"),
            (
                "UPDATE t SET a=a+1 WHERE b BETWEEN c-1 AND d",
                "UPDATE t SET a=decimal_add(a,1) WHERE b BETWEEN decimal_sub(c,1) AND d",
            ),
        ] {
            assert_eq!(rewrite(statement, Arithmetic::Exact).as_deref(), Some(expected), "{statement}");
        }
        let checked = rewrite("SELECT -a+b%2*c, CAST(d AS REAL)", Arithmetic::Checked);
        let expected = "SELECT checked_add(checked_sub(0,a),checked_mul(b%2,c)), CAST(d AS REAL)";
        assert_eq!(checked.as_deref(), Some(expected));
    }

    #[test]
    fn other_statements_stay() {
        for statement in [
            "SELECT *, t.*, count(*) FROM t LIMIT -1 OFFSET -2",
            "SELECT 'a+b', \"a-b\", [a*b] /* a+b */ FROM t -- a-b",
            "CREATE TABLE t(a DECIMAL(10,-2) DEFAULT -1)",
            "SELECT a->'$.b'->>'c', a/b, ~a, +a",
            "INSERT INTO t VALUES (-1, +2) RETURNING *",
        ] {
            assert_eq!(rewrite(statement, Arithmetic::Exact), None, "{statement}");
        }
    }

    /// An expression of integers, texts and nulls.
    fn expression() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("a"),
            Just("b"),
            Just("t.c"),
            Just("\"d\""),
            Just("7"),
            Just("-3"),
            Just("NULL"),
            Just("'x'"),
            Just("(SELECT max(b) FROM t)"),
            Just("count(*)"),
            Just("- a"),
            Just("- -b"),
            Just("~c"),
            Just("+ d"),
        ];
        leaf.prop_map(str::to_owned).prop_recursive(5, 40, 3, |inner| {
            let operator = prop_oneof![
                Just("+"),
                Just("-"),
                Just("*"),
                Just(" -"),
                Just("- "),
                Just(" /* - */ * "),
                Just("/"),
                Just("%"),
                Just("||"),
                Just(">"),
                Just("<="),
                Just("="),
                Just(" IS NOT "),
                Just(" AND "),
                Just(" OR "),
                Just("&"),
                Just("|"),
                Just("<<"),
                Just("<>"),
                Just(" LIKE "),
                Just(" IN "),
                Just(" -- x\n + "),
            ];
            prop_oneof![
                4 => (inner.clone(), operator, inner.clone()).prop_map(|(left, operator, right)| match operator {
                    " IN " => format!("{left} IN ({right}, 1)"),
                    operator => format!("{left}{operator}{right}"),
                }),
                1 => inner.clone().prop_map(|inner| format!("({inner})")),
                1 => inner.clone().prop_map(|inner| format!("- ({inner})")),
                1 => inner.clone().prop_map(|inner| format!("NOT {inner}")),
                1 => inner.clone().prop_map(|inner| format!("abs({inner} - 1)")),
                1 => inner.clone().prop_map(|inner| format!("{inner} COLLATE nocase")),
                1 => inner.clone().prop_map(|inner| format!("CAST({inner} AS TEXT)")),
                1 => (inner.clone(), inner.clone(), inner.clone())
                    .prop_map(|(a, b, c)| format!("CASE {a} WHEN {b} THEN {c} ELSE {a} - 1 END")),
                1 => (inner.clone(), inner.clone(), inner.clone())
                    .prop_map(|(a, b, c)| format!("{a} BETWEEN {b} AND {c}")),
                1 => (inner.clone(), inner).prop_map(|(a, b)| format!("coalesce({a}, {b} * 2)")),
            ]
        })
    }

    #[test]
    fn the_rewritten_expression_means_the_same() {
        means_the_same(Arithmetic::Exact);
    }

    #[test]
    fn the_checked_expression_means_the_same() {
        means_the_same(Arithmetic::Checked);
    }

    /// With integers, a call returns what the operator returns, so every difference would be a wrong reading of the text.
    fn means_the_same(arithmetic: Arithmetic) {
        let connection = rusqlite::Connection::open_in_memory().expect("a database");
        functions::register(&connection).expect("functions");
        functions::register_checked(&connection).expect("functions");
        let table =
            "CREATE TABLE t(a, b, c, d); INSERT INTO t VALUES (1, 2, 3, 4), (-7, 5, NULL, '6'), (0, 11, -2, 'z')";
        connection.execute_batch(table).expect("a table");
        let rows = |sql: &str| -> rusqlite::Result<Vec<rusqlite::types::Value>> {
            connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
        };
        let mut runner = TestRunner::new(Config { cases: 3000, ..Config::default() });
        let compared = core::cell::Cell::new(0);
        runner
            .run(&expression(), |text| {
                let statement = format!("SELECT {text} AS x FROM t GROUP BY a, b");
                let Ok(expected) = rows(&statement) else { return Ok(()) };
                let rewritten = rewrite(&statement, arithmetic).unwrap_or_else(|| statement.clone());
                // such a statement fails with what `inspect` finds in the original: `a IN (1) + 2`
                if connection.prepare(&rewritten).is_err() {
                    return Ok(());
                }
                match rows(&rewritten) {
                    Ok(got) => prop_assert_eq!(got, expected, "{} became {}", statement, rewritten),
                    // an error is no wrong result; SQLite goes on with a float where an integer overflows
                    Err(error) => prop_assert!(error.to_string().contains("overflow"), "{}: {}", rewritten, error),
                }
                let left = arithmetic == Arithmetic::Exact
                    && inspect::has_arithmetic(&connection, &rewritten).expect("a program");
                // `a + NOT b` is not replaced; the step would fail
                prop_assert!(!left || rewritten.contains("NOT"), "arithmetic is left in {}", rewritten);
                compared.set(compared.get() + 1);
                Ok(())
            })
            .expect("equal results");
        let compared = compared.get();
        assert!(compared > 1500, "only {compared} expressions were valid");
    }

    #[test]
    fn depth_is_limited() {
        let nested = |depth: usize| format!("SELECT {}a+b{}", "(".repeat(depth), ")".repeat(depth));
        assert!(rewrite(&nested(MAX_DEPTH), Arithmetic::Exact).is_some());
        assert_eq!(rewrite(&nested(MAX_DEPTH + 1), Arithmetic::Exact), None);
        assert_eq!(rewrite(&nested(100_000), Arithmetic::Exact), None);
    }
}
