//! Every case of `tests/programs` in one component: the script's function names pick.

#[path = "../../blob/step.rs"]
mod blob;
#[path = "../../http/step.rs"]
mod http;
#[path = "../../limits/step.rs"]
mod limits;
#[path = "../../said/step.rs"]
mod said;
#[path = "../../values/step.rs"]
mod values;
