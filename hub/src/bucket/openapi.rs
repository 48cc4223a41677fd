//! The OpenAPI descriptions of the bucket's operations.

use bue_model::value_name::MAX_LIFETIME_S;

use super::bucket_server::MAX_PARTS;
use super::keys::MAX_PAGE;
use super::routes::Operation;
use crate::http::openapi::operation_doc::{Content, Documented, OperationDoc, ParameterKind, QueryParameter};

const OCTETS: Content = Content::Bytes("application/octet-stream");
/// Errors of operations that read something by its name.
const READ_ERRORS: &[u16] = &[400, 404, 503];
/// Errors of operations that store a body.
const STORE_ERRORS: &[u16] = &[400, 408, 413, 503];

const RUN: &[QueryParameter] =
    &[QueryParameter { name: "run", description: "the run for which the blob is kept", kind: ParameterKind::RunId }];
const LIST_KEYS: &[QueryParameter] = &[
    QueryParameter { name: "prefix", description: "only values whose names begin with it", kind: ParameterKind::Text },
    QueryParameter { name: "after", description: "only values whose names come after it", kind: ParameterKind::Text },
    QueryParameter {
        name: "limit",
        description: "the largest number of values",
        kind: ParameterKind::Integer(1, MAX_PAGE as u64),
    },
];
const PUT_KEY: &[QueryParameter] = &[
    QueryParameter {
        name: "expires_s",
        description: "seconds until the value expires; it does not without this",
        kind: ParameterKind::Integer(1, MAX_LIFETIME_S),
    },
    QueryParameter {
        name: "upload",
        description: "the upload whose parts are the value; the body is empty then",
        kind: ParameterKind::UploadId,
    },
    PARTS,
];
const PARTS: QueryParameter = QueryParameter {
    name: "parts",
    description: "the number of the upload's parts",
    kind: ParameterKind::Integer(1, MAX_PARTS as u64),
};
const PART: &[QueryParameter] = &[QueryParameter {
    name: "part",
    description: "the number of the part",
    kind: ParameterKind::Integer(0, MAX_PARTS as u64 - 1),
}];
const DELETE_UPLOAD: &[QueryParameter] = &[PARTS];
const STARTED_AT: &[QueryParameter] = &[QueryParameter {
    name: "begun",
    description: "the time that GET returned",
    kind: ParameterKind::Integer(0, i64::MAX.cast_unsigned()),
}];

impl Documented for Operation {
    fn doc(self) -> OperationDoc {
        match self {
            Self::GetBlob => OperationDoc::new("returns a blob", OCTETS, READ_ERRORS),
            Self::HeadBlob => OperationDoc {
                query: RUN,
                ..OperationDoc::new("checks that a blob exists; returns its length", Content::Empty, READ_ERRORS)
            },
            Self::PutBlob => OperationDoc {
                query: RUN,
                request: &[OCTETS],
                ..OperationDoc::new("stores bytes under their BLAKE3 hash", Content::Empty, STORE_ERRORS)
            },
            Self::ListKeys => OperationDoc {
                query: LIST_KEYS,
                ..OperationDoc::new(
                    "returns the values whose names begin in some way",
                    Content::Json("KeyPage"),
                    &[400, 503],
                )
            },
            Self::GetKey => OperationDoc::new(
                "returns the value of a key; with `range`, a range of it, and with `if-match`, only of the value with that `etag`",
                OCTETS,
                &[400, 404, 412, 416, 503],
            ),
            Self::PutKey => OperationDoc {
                query: PUT_KEY,
                request: &[OCTETS],
                ..OperationDoc::new(
                    "stores the value of a key, which is the body or consists of the parts of an upload; replaces an older one",
                    Content::Empty,
                    &[400, 404, 408, 413, 503],
                )
            },
            Self::StartUpload => OperationDoc::new("returns the id of a new upload", Content::Postcard, &[]),
            Self::PutPart => OperationDoc {
                query: PART,
                request: &[OCTETS],
                ..OperationDoc::new("stores a part of an upload, for two days", Content::Empty, STORE_ERRORS)
            },
            Self::DeleteUpload => OperationDoc {
                query: DELETE_UPLOAD,
                ..OperationDoc::new("deletes the parts of an upload", Content::Empty, &[400, 503])
            },
            Self::DeleteKey => OperationDoc::new("deletes a key", Content::Empty, READ_ERRORS),
            Self::StartCollection => {
                OperationDoc::new("returns the bucket's time, before a collection", Content::Postcard, &[])
            }
            Self::Collect => OperationDoc {
                query: STARTED_AT,
                request: &[Content::Postcard],
                ..OperationDoc::new(
                    "deletes what none of these runs needs",
                    Content::Postcard,
                    &[400, 408, 409, 413, 415, 503],
                )
            },
            Self::GetMetrics => {
                OperationDoc::new("returns metrics for Prometheus", Content::Bytes("application/openmetrics-text"), &[])
            }
            Self::GetOpenApi => OperationDoc::new("returns this document", Content::Json("Document"), &[]),
            Self::CheckHealth => {
                OperationDoc::new("checks that the process is running", Content::Bytes("text/plain"), &[])
            }
            Self::CheckReady => {
                OperationDoc::new("checks that the store is writable", Content::Bytes("text/plain"), &[503])
            }
        }
    }
}
