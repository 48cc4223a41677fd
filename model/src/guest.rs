//! What the sandbox host and the Python guest say to each other. Not public: the host that runs a guest also built it.
//!
//! The guest is a core module. It exports
//! - `bue_init()`: start the interpreter and import the common standard library (once, for the base image);
//! - `bue_alloc(len) -> ptr`: room for `len` bytes, which the next export called with it takes over;
//! - `bue_load(ptr, len) -> i64`: a [`LoadRequest`], answered by a [`LoadReply`] (once a module, for its image);
//! - `bue_call(ptr, len) -> i64`: a [`CallRequest`], answered by an [`Answer`](crate::Answer).
//!
//! Requests and replies are postcard. An `i64` is `ptr << 32 | len` of the reply, which stays valid until the next export
//! is called. The guest imports `bue.host(ptr, len, reply_ptr, reply_cap) -> i64`: a [`HostRequest`], whose reply (see
//! there) is written to `reply_ptr` if it fits into `reply_cap`; the answer is the reply's length. A reply that does not
//! fit is kept for [`HostRequest::Take`].

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::bundle::Bundle;
use crate::job::Failure;
use crate::net::{Ended, Operation, Ticket};

/// Import the user's module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadRequest {
    /// The step's code and its neighbours.
    pub bundle: Bundle,
}

/// How loading went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoadReply {
    /// The module is imported.
    Loaded,
    /// It could not be.
    Failed(Failure),
}

/// Call a function of the loaded module.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRequest {
    /// Its name, dotted for a function inside a class or a submodule.
    pub function: String,
    /// The arguments, CBOR each.
    pub inputs: Vec<Bytes>,
    /// A loop runs over the result: emit its elements instead of answering with a list, whatever iterable it is that
    /// a list may be made of.
    pub stream: bool,
    /// CBOR map readable as `bue.env`.
    pub env: Option<Bytes>,
    /// The largest result in bytes.
    pub max_result: u64,
    /// `for account in accounts() (line 12)`: what the result must be a list for. Used in messages, with `stream`.
    pub loop_text: Option<String>,
}

/// What a running guest asks of its host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HostRequest {
    /// Copy the reply that did not fit.
    Take,
    /// Elements of a streamed result: a CBOR array of `count`. The reply is empty.
    Emit {
        /// Elements.
        count: u32,
        /// CBOR array.
        items: Bytes,
    },
    /// Begin something that takes its time. The reply is its [`Ticket`]; what is wrong with it is told by its end.
    Start(Operation),
    /// Wait until at least one of these has ended, or the time is over. Meanwhile the guest costs memory and no processor.
    /// The reply is [`Waited`]; it may leave out some that have ended, which the next wait gives at once.
    Wait {
        /// Tickets that were started and not yet given back, at most 4096.
        #[serde(deserialize_with = "bounded::list::<_, _, 4096>")]
        tickets: Vec<Ticket>,
        /// None: until one has ended. With no tickets either, the reply comes at once.
        timeout_ms: Option<u64>,
    },
    /// Give an exchange up, whatever of it is under way, and forget its tickets. Nothing follows; one that is over may be
    /// named too. The reply is empty.
    Close {
        /// Ticket of the request.
        exchange: Ticket,
    },
}

/// Operations that have ended. Each is given once.
pub type Waited = Vec<(Ticket, Ended)>;
