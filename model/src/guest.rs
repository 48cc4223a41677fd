//! The messages between a sandbox host and its guests: the Python interpreter and SQLite. Not a public interface: host and
//! guests are built together.
//!
//! A guest is a core module. It exports
//! - `bue_init()`: start the interpreter and import the common standard library, or open a database (once, for the base image);
//! - `bue_alloc(len) -> ptr`: allocates `len` bytes, whose ownership the next export that is called with them takes;
//! - `bue_interrupt_flag() -> ptr`, Python only: the address of a byte that the host sets to 1 when the soft limit of the next call is
//!   reached;
//! - `bue_load(ptr, len) -> i64`, Python only: a [`LoadRequest`], answered by a [`LoadReply`] (once for each module, for its
//!   image);
//! - `bue_call(ptr, len) -> i64`: a [`CallRequest`] for Python, the request of the crate `bue-sql` for SQLite, answered by an
//!   [`Answer`](crate::Answer).
//!
//! Requests and replies are postcard. An `i64` is `ptr << 32 | len` of the reply, which stays valid until the next export
//! is called. The guest imports `bue.host(ptr, len, reply_ptr, reply_cap) -> i64`: a [`HostRequest`], whose reply (see
//! there) is written to `reply_ptr` if it fits into `reply_cap`; the answer is the reply's length. A reply that does not
//! fit is kept for [`HostRequest::Take`].

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::bundle::Bundle;
use crate::job::Failure;
use crate::length_limit;
use crate::net::{Completion, Operation, Ticket};
use crate::net_rule::NetRule;

/// A request to import the user's module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadRequest {
    /// The step's code and the modules beside it.
    pub bundle: Bundle,
}

/// The answer to a [`LoadRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoadReply {
    /// The module was imported.
    Loaded,
    /// The import failed.
    Failed(Failure),
}

/// A request to call a function of the loaded module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRequest {
    /// Its name, dotted for a function inside a class or a submodule.
    pub function: String,
    /// The arguments, each a CBOR value.
    pub inputs: Vec<Bytes>,
    /// The keyword arguments: a CBOR map with texts as keys. `None` if there are none.
    pub keywords: Option<Bytes>,
    /// Whether a loop runs over the result. Its elements are then emitted instead of being returned as a list; it may be any iterable
    /// that a list can be made of.
    pub stream: bool,
    /// The most elements to emit at once, from 1 to 1,000.
    pub batch_items: u32,
    /// The CBOR map that the step can read as `bue.env`.
    pub env: Option<Bytes>,
    /// Environment variables, each with its value.
    pub environment: Vec<(String, String)>,
    /// Where the step's sockets are TCP connections. All others can only speak HTTP.
    pub tcp: Vec<NetRule>,
    /// The size in bytes of the largest result.
    pub max_result: u64,
    /// The text of the loop that runs over the result, for messages: `for account in accounts() (line 12)`.
    pub loop_text: Option<String>,
    /// The message of the exception that is raised when the soft limit is reached. `None` if there is no such limit.
    pub soft_limit: Option<String>,
}

/// A request of a running guest to its host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostRequest {
    /// Copy the reply that did not fit.
    Take,
    /// Elements of a streamed result: a CBOR array of `count`. The reply is empty.
    Emit {
        /// The number of elements.
        count: u32,
        /// The CBOR array.
        items: Bytes,
        /// Whether the result still grows while the step runs, and nothing is known yet of what its dependants inherit: rounds of a loop
        /// may start before the step ends.
        early: bool,
    },
    /// Start an asynchronous operation. The reply is its [`Ticket`]; errors are reported when it ends.
    Start(Operation),
    /// Wait until at least one of these operations has ended, until the timeout, or until the soft limit is reached. Meanwhile the guest uses memory but no processor.
    /// The reply is [`Completions`]. It may omit operations that have ended; the next wait returns those at once.
    Wait {
        /// Tickets of operations that were started and whose end has not been reported yet, at most 4096.
        #[serde(deserialize_with = "length_limit::bounded_list::<_, _, 4096>")]
        tickets: Vec<Ticket>,
        /// The timeout. `None`: until one has ended. Without tickets and without a timeout, the reply comes at once.
        timeout_ms: Option<u64>,
    },
    /// Abort an exchange with all its operations and forget its tickets. Closing one that is over is allowed. The reply is empty.
    Close {
        /// The ticket of the request.
        exchange: Ticket,
    },
    /// A part of an input of a SQL step. The reply is its bytes, not encoded; fewer than asked for at the end of the input.
    Input {
        /// The input, from 0.
        index: u32,
        /// The position of the first byte.
        offset: u64,
        /// How many bytes the guest has room for.
        max: u32,
    },
    /// The next bytes of the rows of a SQL step whose result is one list: CBOR maps, one after the other, cut anywhere. The reply
    /// is empty.
    Rows(Bytes),
}

/// The completions of operations. Each is reported once.
pub type Completions = Vec<(Ticket, Completion)>;
