//! What the bucket's routes take and give.

use crate::bucket::bucket_server::{Call, MAX_LIFE};
use crate::http::openapi::{About, Content, Described, Given, Query};

const OCTETS: Content = Content::Bytes("application/octet-stream");
const STORES: &[u16] = &[400, 408, 413, 503];

/// Whoever names a run has the blob kept for it.
const RUN: &[Query] = &[Query { name: "run", about: "the run that it is kept for", given: Given::Run }];
const ENDS: &[Query] =
    &[Query { name: "expires_s", about: "seconds until it is gone; it stays", given: Given::Number(1, MAX_LIFE) }];
const BEGUN: &[Query] =
    &[Query { name: "begun", about: "what GET gave", given: Given::Number(0, i64::MAX.cast_unsigned()) }];

const fn about(summary: &'static str, gives: Content, refuses: &'static [u16]) -> About {
    About { summary, query: &[], takes: &[], gives, refuses }
}

impl Described for Call {
    fn about(self) -> About {
        match self {
            Self::GetBlob => about("a blob's bytes", OCTETS, &[400, 404, 503]),
            Self::HasBlob => About {
                query: RUN,
                ..about("whether a blob is there, and its length", Content::Nothing, &[400, 404, 503])
            },
            Self::PutBlob => About {
                query: RUN,
                takes: &[OCTETS],
                ..about("stores bytes under their BLAKE3 hash", Content::Nothing, STORES)
            },
            Self::GetKey => about("a key's value", OCTETS, &[400, 404, 503]),
            Self::PutKey => About {
                query: ENDS,
                takes: &[OCTETS],
                ..about("stores bytes under a name, in place of older ones", Content::Nothing, STORES)
            },
            Self::DeleteKey => about("takes a key away", Content::Nothing, &[400, 404, 503]),
            Self::BeginCollection => about("the bucket's time, before a collection", Content::Postcard, &[]),
            Self::Collect => About {
                query: BEGUN,
                takes: &[Content::Postcard],
                ..about("throws away what none of these runs needs", Content::Postcard, &[400, 408, 409, 413, 415, 503])
            },
            Self::Metrics => about("numbers for Prometheus", Content::Bytes("application/openmetrics-text"), &[]),
            Self::OpenApi => about("this document", Content::Json("Document"), &[]),
            Self::Health => about("whether the process lives", Content::Bytes("text/plain"), &[]),
            Self::Ready => about("whether something can be stored", Content::Bytes("text/plain"), &[503]),
        }
    }
}
