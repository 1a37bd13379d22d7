//! The endpoints, with the answers of the real API server.

use std::sync::Arc;

use axum::extract::State as Extract;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::state::{Shared, State};
use crate::jwt::{self, SigningKey};

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/apis/authentication.k8s.io/v1/tokenreviews", post(review))
        .route("/apis/authorization.k8s.io/v1/subjectaccessreviews", post(permit))
        .route("/openid/v1/jwks", get(jwks))
        .route("/.well-known/openid-configuration", get(discovery))
        .fallback(async || failure(StatusCode::NOT_FOUND, "NotFound", "not found"))
        .with_state(shared)
}

async fn review(Extract(shared): Extract<Arc<Shared>>, headers: HeaderMap, Json(review): Json<Value>) -> Response {
    if let Some(refusal) = check_client(&shared, &headers) {
        return refusal;
    }
    let _running = Running::begin(Arc::clone(&shared));
    let fault = shared.state().faults.reviews.clone();
    let honest = || {
        let state = shared.state();
        let mut status = judge(&state, &shared.issuer, &review["spec"]);
        if let Some(edit) = &state.faults.edit_status {
            edit(&mut status);
        }
        let mut answer = json!({
            "kind": "TokenReview",
            "apiVersion": "authentication.k8s.io/v1",
            "metadata": {},
            "spec": review["spec"],
            "status": status,
        });
        if let Some(edit) = &state.faults.edit_review {
            edit(&mut answer);
        }
        (StatusCode::CREATED, Json(answer)).into_response()
    };
    fault.answer(honest).await
}

/// Permits everything to everybody: for what an answer costs. What is permitted, the real API server says.
async fn permit(Extract(shared): Extract<Arc<Shared>>, headers: HeaderMap, Json(review): Json<Value>) -> Response {
    if let Some(refusal) = check_client(&shared, &headers) {
        return refusal;
    }
    let answer = json!({
        "kind": "SubjectAccessReview",
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {},
        "spec": review["spec"],
        "status": { "allowed": true, "reason": "everybody may" },
    });
    (StatusCode::CREATED, Json(answer)).into_response()
}

/// Counts a TokenReview from its begin to its end, also where the caller goes away.
struct Running(Arc<Shared>);

impl Running {
    fn begin(shared: Arc<Shared>) -> Self {
        {
            let mut state = shared.state();
            state.calls.reviews += 1;
            state.reviews_now += 1;
            state.calls.most_reviews_at_once = state.calls.most_reviews_at_once.max(state.reviews_now);
        }
        Self(shared)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.state().reviews_now -= 1;
    }
}

/// The honest status of a review.
fn judge(state: &State, issuer: &str, spec: &Value) -> Value {
    let token = spec["token"].as_str().unwrap_or_default();
    let Some(claims) = state.issued.get(token) else {
        return refused("invalid bearer token");
    };
    let details = &claims["kubernetes.io"];
    let pod = &details["pod"];
    let deleted =
        [&claims["sub"], &pod["uid"]].into_iter().filter_map(Value::as_str).any(|id| state.deleted.contains(id));
    if deleted {
        return refused("service account or pod has been deleted");
    }
    if claims["exp"].as_i64().is_none_or(|end| end <= jwt::now()) {
        return refused("service account token has expired");
    }
    // No audience asks for the API server's own.
    let own = vec![json!(issuer)];
    let asked = spec["audiences"].as_array().filter(|list| !list.is_empty());
    let asked = asked.unwrap_or(&own);
    let held = claims["aud"].as_array().cloned().unwrap_or_default();
    let common: Vec<&Value> = asked.iter().filter(|one| held.contains(one)).collect();
    if common.is_empty() {
        return refused("token audiences are invalid for the target audiences");
    }

    let namespace = details["namespace"].as_str().unwrap_or_default();
    let token_id = claims["jti"].as_str().unwrap_or_default();
    let mut extra = json!({
        "authentication.kubernetes.io/credential-id": [format!("JTI={token_id}")],
    });
    if pod.is_object() {
        extra["authentication.kubernetes.io/pod-name"] = json!([pod["name"]]);
        extra["authentication.kubernetes.io/pod-uid"] = json!([pod["uid"]]);
    }
    json!({
        "authenticated": true,
        "user": {
            "username": claims["sub"],
            "uid": details["serviceaccount"]["uid"],
            "groups": [
                "system:serviceaccounts",
                format!("system:serviceaccounts:{namespace}"),
                "system:authenticated",
            ],
            "extra": extra,
        },
        "audiences": common,
    })
}

fn refused(error: &str) -> Value {
    json!({ "user": {}, "error": error })
}

async fn jwks(Extract(shared): Extract<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Some(refusal) = check_client(&shared, &headers) {
        return refusal;
    }
    let fault = {
        let mut state = shared.state();
        state.calls.jwks += 1;
        state.faults.jwks.clone()
    };
    let honest = || {
        let state = shared.state();
        let keys: Vec<Value> = state.keys.iter().map(SigningKey::jwk).collect();
        let mut set = json!({ "keys": keys });
        if let Some(edit) = &state.faults.edit_jwks {
            edit(&mut set);
        }
        let content_type = [(header::CONTENT_TYPE, "application/jwk-set+json")];
        (content_type, set.to_string()).into_response()
    };
    fault.answer(honest).await
}

async fn discovery(Extract(shared): Extract<Arc<Shared>>, headers: HeaderMap) -> Response {
    if let Some(refusal) = check_client(&shared, &headers) {
        return refusal;
    }
    let algorithm = shared.state().signing_key().algorithm().name();
    Json(json!({
        "issuer": shared.issuer,
        "jwks_uri": format!("{}/openid/v1/jwks", shared.issuer),
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": [algorithm],
    }))
    .into_response()
}

/// Refuses a client that does not present the credential of the kubeconfig.
fn check_client(shared: &Shared, headers: &HeaderMap) -> Option<Response> {
    let presented = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    if presented == Some(shared.client_token.as_str()) {
        return None;
    }
    shared.state().calls.unauthorized += 1;
    Some(failure(StatusCode::UNAUTHORIZED, "Unauthorized", "Unauthorized"))
}

fn failure(status: StatusCode, reason: &str, message: &str) -> Response {
    let body = json!({
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": status.as_u16(),
    });
    (status, Json(body)).into_response()
}
