//! The language from outside: programs with their complaints beside them, hostile bytes, and what is promised of each.

mod cases;
mod common;
mod grammar;
mod limits;
mod pages;
mod robust;
mod suite;
