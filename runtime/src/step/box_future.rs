//! A boxed future.

use core::future::Future;
use core::pin::Pin;

/// A boxed future, as methods of trait objects return it.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
