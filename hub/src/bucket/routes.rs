//! The bucket's routes: the operation and the permission of each.

use http::Method;

use crate::auth::role::Permission;
use crate::http::routes::{Route, RouteView, route, route_views};

/// What a request asks the bucket to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Operation {
    GetBlob,
    HeadBlob,
    PutBlob,
    ListKeys,
    GetKey,
    PutKey,
    DeleteKey,
    StartUpload,
    PutPart,
    DeleteUpload,
    StartCollection,
    Collect,
    GetMetrics,
    GetOpenApi,
    CheckHealth,
    CheckReady,
}

/// All routes of the bucket.
pub(super) const ROUTES: &[Route<Operation>] = &[
    route(Method::GET, "/v1/blobs/{hash}", Permission::Basic, Operation::GetBlob),
    route(Method::HEAD, "/v1/blobs/{hash}", Permission::Basic, Operation::HeadBlob),
    route(Method::PUT, "/v1/blobs/{hash}", Permission::Store, Operation::PutBlob),
    route(Method::GET, "/v1/keys", Permission::Read, Operation::ListKeys),
    route(Method::GET, "/v1/keys/{key...}", Permission::Basic, Operation::GetKey),
    route(Method::PUT, "/v1/keys/{key...}", Permission::Store, Operation::PutKey),
    route(Method::DELETE, "/v1/keys/{key...}", Permission::Store, Operation::DeleteKey),
    route(Method::POST, "/v1/uploads", Permission::Store, Operation::StartUpload),
    route(Method::PUT, "/v1/uploads/{upload}", Permission::Store, Operation::PutPart),
    route(Method::DELETE, "/v1/uploads/{upload}", Permission::Store, Operation::DeleteUpload),
    route(Method::GET, "/v1/collections", Permission::Operate, Operation::StartCollection),
    route(Method::POST, "/v1/collections", Permission::Operate, Operation::Collect),
    route(Method::GET, "/metrics", Permission::Read, Operation::GetMetrics),
    route(Method::GET, "/openapi.json", Permission::Basic, Operation::GetOpenApi),
    route(Method::GET, "/healthz", Permission::Public, Operation::CheckHealth),
    route(Method::GET, "/readyz", Permission::Public, Operation::CheckReady),
];

/// The routes of the bucket, and the roles that may use them.
#[must_use]
pub fn bucket_routes() -> Vec<RouteView> {
    route_views(ROUTES)
}
