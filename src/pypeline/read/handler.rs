//! `package.module.function`.

use super::context::Context;
use super::fields::{Located, text_of};
use crate::pypeline::names::is_python_name;
use crate::pypeline::problem::quoted;
use crate::pypeline::project::Handler;
use crate::pypeline::yaml::Node;

/// Names of packages that parameters of the generated functions would hide.
const HIDDEN: [&str; 5] = ["args", "chain_payload", "event", "handlers", "kwargs"];

/// Reads the dotted name of a function.
pub(super) fn handler_of(node: &Node, what: &str, context: &mut Context) -> Option<Handler> {
    let value = text_of(node, what, context)?;
    handler_named(&Located { value, place: node.place }, what, context)
}

/// Reads a text that is the dotted name of a function.
pub(super) fn handler_named(path: &Located<String>, what: &str, context: &mut Context) -> Option<Handler> {
    let Located { value: path, place } = path;
    match path.rsplit_once('.') {
        Some((module, function)) if path.split('.').all(is_python_name) => {
            let handler = Handler { module: module.to_owned(), function: function.to_owned(), place: *place };
            if HIDDEN.contains(&handler.top_level()) {
                let message =
                    format!("the package of {} has the name of something that the script needs", quoted(path));
                context.error(*place, message, "give the package another name");
            }
            Some(handler)
        }
        _ => {
            let message = format!("{what} is {}, which is not the path of a function", quoted(path));
            context.error(*place, message, "write `package.module.function`");
            None
        }
    }
}
