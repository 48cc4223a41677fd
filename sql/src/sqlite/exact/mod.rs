//! Exact decimals in SQLite, whose numbers are integers and binary floats.
//!
//! A decimal of at most 15 significant digits is stored as the nearest float. That float is its own: other decimals of 15
//! digits have other floats, in the same order, and the shortest text of the float is the decimal. So comparing, sorting and
//! grouping are exact as they are. Adding and multiplying floats is not, so in a step with decimals functions replace it.
//! In another step, functions notice an integer that overflows, which SQLite would make a float. The files:
//!
//! ```text
//! number.rs     a value as an exact number, and arithmetic on two
//! functions.rs  decimal_add, decimal_sub, decimal_mul, decimal_mod, and exact versions of sum, total, avg and round
//! format.rs     format and printf that round the decimal digits
//! literal.rs    refuses numbers in the SQL that would be rounded
//! rewrite.rs    replaces the operators + - * % of a statement by calls of these functions
//! inspect.rs    proves, on the program that SQLite compiled, that no other arithmetic is left
//! ```
//! `inspect.rs` makes this sound: a statement that `rewrite.rs` does not understand fails instead of returning rounded numbers.

mod format;
pub(super) mod functions;
pub(super) mod inspect;
pub(super) mod literal;
pub(super) mod number;
pub(super) mod rewrite;
mod sum;
pub(super) mod token;
