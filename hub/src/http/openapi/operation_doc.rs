//! [`OperationDoc`]: the description of one operation, from which its entry in the OpenAPI document is made.

/// What an operation reads and returns.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OperationDoc {
    pub(crate) summary: &'static str,
    pub(crate) query: &'static [QueryParameter],
    /// The alternatives for the request's body; empty if it has none.
    pub(crate) request: &'static [Content],
    pub(crate) response: Content,
    /// The status of a success.
    pub(crate) status: u16,
    /// Error statuses in addition to those that every route has.
    pub(crate) errors: &'static [u16],
}

/// An optional parameter of the query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct QueryParameter {
    pub(crate) name: &'static str,
    pub(crate) description: &'static str,
    pub(crate) kind: ParameterKind,
}

/// The type of a parameter.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ParameterKind {
    /// An integer between two bounds, both included.
    Integer(u64, u64),
    /// The id of a run.
    RunId,
    /// The id of an upload.
    UploadId,
    /// Any text.
    Text,
    /// The name of a job's state.
    JobState,
    /// The first digits of a run's id.
    RunPrefix,
    /// States of runs, separated by commas.
    RunStates,
    /// A position: `next` of the page before.
    Position,
    /// Numbers of rounds, separated by dots.
    Rounds,
    /// How values are written.
    ValueForm,
}

impl QueryParameter {
    /// What stands for a part of the name that a request chooses.
    pub(crate) const WILDCARD: &str = "NAME";

    /// Returns whether a parameter of a request is this one.
    pub(crate) fn has_name(&self, name: &str) -> bool {
        match self.name.strip_suffix(Self::WILDCARD) {
            Some(prefix) => name.len() > prefix.len() && name.starts_with(prefix),
            None => name == self.name,
        }
    }
}

/// The content of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    Empty,
    /// JSON that follows the schema of this name.
    Json(&'static str),
    /// The same as the body of a request, which may be left out.
    OptionalJson(&'static str),
    /// Server-sent events.
    Events,
    /// A JSON array of them.
    JsonArray(&'static str),
    /// A message between programs of one release.
    Postcard,
    /// A message, or for clients that accept it JSON that follows the schema of this name.
    PostcardOrJson(&'static str),
    /// A log: a message, or for clients that accept them JSON or text, or server-sent events.
    Log,
    /// JSON that follows one of these schemas.
    EitherJson(&'static str, &'static str),
    /// Bytes of this media type.
    Bytes(&'static str),
}

/// Implemented by a server's enum of operations.
pub(crate) trait Documented: Copy {
    /// Returns the description. Implementations use an exhaustive `match`, so a new operation without one does not compile.
    fn doc(self) -> OperationDoc;
}

impl OperationDoc {
    /// An operation without query parameters and without a request body, whose success is 200.
    pub(crate) const fn new(summary: &'static str, response: Content, errors: &'static [u16]) -> Self {
        Self { summary, query: &[], request: &[], response, status: 200, errors }
    }
}
