//! A provider's keys: where they are fetched, and how long they hold.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures::FutureExt as _;
use http::StatusCode;

use super::{
    config::ProviderConfig,
    endpoint::Endpoint,
    http::{CallError, ProviderHttp, media_type},
};
use crate::{
    clock::SharedClock,
    jose::{FetchError, Jwks, JwksCache, JwksCacheConfig},
};

/// The largest key set, in bytes.
pub(super) const MAX_BYTES: usize = 1024 * 1024;
/// The shortest time from a fetch that failed to the next: keys that changed meanwhile must not lock everybody out.
const RETRY: Duration = Duration::from_secs(1);

/// How many fetches may follow the last one at once, for ID tokens and for logout tokens each: a provider may change its
/// key right after we asked.
const BURST: u32 = 3;

/// The keys of a provider whose discovery told just now that they are `first`. They come anew with the metadata, which
/// say where they are, and serve until then: see [`super::discovery`].
pub(super) fn cache(
    config: &ProviderConfig,
    jwks_uri: Endpoint,
    first: Jwks,
    http: ProviderHttp,
    clock: SharedClock,
) -> JwksCache {
    let fetch = move || {
        let (http, jwks_uri) = (http.clone(), jwks_uri.clone());
        async move { fetch(&http, &jwks_uri).await }.boxed()
    };
    let cache_config = JwksCacheConfig {
        source: config.name.as_str().to_owned(),
        max_age: Duration::MAX,
        max_stale: Duration::MAX,
        burst: BURST,
        longest_retry: RETRY,
        fetch_timeout: config.timeout,
        max_bytes: MAX_BYTES,
        ..JwksCacheConfig::default()
    };
    JwksCache::filled(Arc::new(fetch), clock, cache_config, first)
}

pub(super) async fn fetch(http: &ProviderHttp, jwks_uri: &Endpoint) -> Result<Bytes, FetchError> {
    let response = http.get_json(jwks_uri).await?;
    if response.status() != StatusCode::OK {
        return Err(FetchError::Unusable(format!("status {}", response.status().as_u16())));
    }
    match media_type(&response).as_deref() {
        None | Some("application/json" | "application/jwk-set+json") => Ok(response.into_body()),
        Some(_) => Err(FetchError::Unusable("it is not said to be JSON".to_owned())),
    }
}

impl From<CallError> for FetchError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Unavailable(text) => Self::Unavailable(text),
            CallError::Unusable(text) | CallError::NotSetUp(text) => Self::Unusable(text.to_owned()),
        }
    }
}
