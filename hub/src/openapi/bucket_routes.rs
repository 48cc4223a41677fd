//! What the bucket's routes take and give.

use super::{About, Content, Described};
use crate::bucket_server::Call;

const OCTETS: Content = Content::Bytes("application/octet-stream");
const STORES: &[u16] = &[400, 408, 413, 503];

const fn about(summary: &'static str, gives: Content, refuses: &'static [u16]) -> About {
    About { summary, query: &[], takes: &[], gives, refuses }
}

impl Described for Call {
    fn about(self) -> About {
        match self {
            Self::GetBlob => about("a blob's bytes", OCTETS, &[400, 404, 503]),
            Self::HasBlob => about("whether a blob is there, and its length", Content::Nothing, &[400, 404, 503]),
            Self::PutBlob => {
                About { takes: &[OCTETS], ..about("stores bytes under their BLAKE3 hash", Content::Nothing, STORES) }
            }
            Self::GetKey => about("a key's value", OCTETS, &[400, 404, 503]),
            Self::PutKey => About {
                takes: &[OCTETS],
                ..about("stores bytes under a name, in place of older ones", Content::Nothing, STORES)
            },
            Self::DeleteKey => about("takes a key away", Content::Nothing, &[400, 404, 503]),
            Self::Metrics => about("numbers for Prometheus", Content::Bytes("application/openmetrics-text"), &[]),
            Self::OpenApi => about("this document", Content::Json("Document"), &[]),
            Self::Health => about("whether the process lives", Content::Bytes("text/plain"), &[]),
            Self::Ready => about("whether something can be stored", Content::Bytes("text/plain"), &[503]),
        }
    }
}
