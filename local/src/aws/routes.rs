//! Routes for people and tests beside AWS's own API; the gateway mounts them at `/_local`.
//!
//! | route | does |
//! |---|---|
//! | `GET /outputs` | the template's Outputs as one object |
//! | `GET /console` | a tenant's AWS console for people: policy, user and access key, as the onboarding page tells them |
//! | `POST /tenants` | a new account with a user (or root key), policies, a permissions `boundary`, the `scp` of its organization, and identities, verified or `unverified_identities`, in the tenant's Region or `identities_elsewhere` (`{Region: […]}`) |
//! | `GET /tenants/{account_id}` | users' keys and their status, identities, limits |
//! | `PUT /tenants/{account_id}/policies` | replaces the inline policies of the account's users, or of the one of `user_name`, as its administrator would |
//! | `PUT /tenants/{account_id}/faults` | replaces the account's faults ([`crate::faults`] has the fields) |
//! | `PUT /faults` | replaces the faults of our own account: `{"rules": [{"on": ["dynamodb:PutItem"], "server_error": 1}]}` |
//! | `POST /tenants/{account_id}/access-keys` | a further key of a user: `{"user_name": …}`; two are allowed |
//! | `PUT /tenants/{account_id}/access-keys/{id}` | `{"status": "Active"}` or `Inactive` |
//! | `DELETE /tenants/{account_id}/access-keys/{id}` | deletes a key as the account's administrator would |
//! | `POST /tenants/{account_id}/forwarded-events` | puts an event on one of the operator's buses, as a rule of the account does: `{bus, source, detail-type, detail, …}` |
//! | `GET /inbox?account_id=` | mail that SES accepted |
//! | `GET /events` | events that passed one of the operator's buses |
//! | `GET /requests?account_id=` | the last requests and how they were answered |
//! | `GET /requests/counts` | how many requests there were since the start, by account, principal, service, operation and error |

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use shared::http::{FieldError, decode};

use super::stand_in::StandIn;
use super::tenant::{NewTenant, TenantError};
use crate::faults::AccountFaults;
use crate::service::events::ForwardedEvent;

/// The routes, relative to where they are mounted.
pub(crate) fn local_routes(stand_in: Arc<StandIn>) -> Router {
    Router::new()
        .route("/outputs", get(outputs))
        .route("/console", get(|| async { Html(include_str!("tenant_console.html")) }))
        .route("/tenants", post(create_tenant))
        .route("/tenants/{account_id}", get(describe_tenant))
        .route("/tenants/{account_id}/policies", put(set_policies))
        .route("/tenants/{account_id}/faults", put(set_tenant_faults))
        .route("/faults", put(set_own_faults))
        .route("/tenants/{account_id}/access-keys", post(add_key))
        .route("/tenants/{account_id}/access-keys/{id}", put(set_key).delete(delete_key))
        .route("/tenants/{account_id}/forwarded-events", post(forward_event))
        .route("/inbox", get(inbox))
        .route("/events", get(events))
        .route("/requests", get(requests))
        .route("/requests/counts", get(request_counts))
        .with_state(stand_in)
}

/// Which account a list is about; all where it is absent.
#[derive(Deserialize)]
struct AccountFilter {
    account_id: Option<String>,
}

/// A change of a key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyChange {
    status: String,
}

/// A further key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FurtherKey {
    user_name: String,
}

/// The inline policies that users have from now on.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyChange {
    policies: Vec<Map<String, Value>>,
    user_name: Option<String>,
}

async fn outputs(State(stand_in): State<Arc<StandIn>>) -> Response {
    Json(stand_in.outputs()).into_response()
}

async fn create_tenant(State(stand_in): State<Arc<StandIn>>, body: Bytes) -> Result<Response, TenantError> {
    let tenant = NewTenant::parse(&body)?;
    let made = stand_in.create_tenant(&tenant)?;
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

async fn describe_tenant(
    State(stand_in): State<Arc<StandIn>>,
    Path(account_id): Path<String>,
) -> Result<Response, TenantError> {
    Ok(Json(stand_in.describe_tenant(&account_id)?).into_response())
}

async fn set_policies(
    State(stand_in): State<Arc<StandIn>>,
    Path(account_id): Path<String>,
    body: Bytes,
) -> Result<Response, TenantError> {
    let PolicyChange { policies, user_name } = decode(&body)?;
    stand_in.set_policies(&account_id, user_name.as_deref(), &policies)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn set_tenant_faults(
    State(stand_in): State<Arc<StandIn>>,
    Path(account_id): Path<String>,
    body: Bytes,
) -> Result<Response, TenantError> {
    stand_in.set_tenant_faults(&account_id, AccountFaults::parse_tenant(&body)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn set_own_faults(State(stand_in): State<Arc<StandIn>>, body: Bytes) -> Result<Response, TenantError> {
    stand_in.set_own_faults(AccountFaults::parse_own(&body)?).await;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn add_key(
    State(stand_in): State<Arc<StandIn>>,
    Path(account_id): Path<String>,
    body: Bytes,
) -> Result<Response, TenantError> {
    let FurtherKey { user_name } = decode(&body)?;
    let made = stand_in.add_key(&account_id, &user_name)?;
    Ok((StatusCode::CREATED, Json(made)).into_response())
}

async fn set_key(
    State(stand_in): State<Arc<StandIn>>,
    Path((account_id, id)): Path<(String, String)>,
    body: Bytes,
) -> Result<Response, TenantError> {
    let KeyChange { status } = decode(&body)?;
    if !["Active", "Inactive"].contains(&status.as_str()) {
        return Err(FieldError::new("status", "must be Active or Inactive").into());
    }
    stand_in.set_key_status(&account_id, &id, Some(&status))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn delete_key(
    State(stand_in): State<Arc<StandIn>>,
    Path((account_id, id)): Path<(String, String)>,
) -> Result<Response, TenantError> {
    stand_in.set_key_status(&account_id, &id, None)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn forward_event(
    State(stand_in): State<Arc<StandIn>>,
    Path(account_id): Path<String>,
    body: Bytes,
) -> Result<Response, TenantError> {
    let event: ForwardedEvent = decode(&body)?;
    let forwarded = stand_in.forward_event(&account_id, &event)?;
    Ok((StatusCode::ACCEPTED, Json(forwarded)).into_response())
}

async fn inbox(State(stand_in): State<Arc<StandIn>>, Query(filter): Query<AccountFilter>) -> Response {
    let mails = stand_in.inbox(filter.account_id.as_deref());
    let mails: Vec<&Value> = mails.iter().map(AsRef::as_ref).collect();
    Json(json!({"mails": mails})).into_response()
}

async fn events(State(stand_in): State<Arc<StandIn>>) -> Response {
    let events = stand_in.passed_events();
    let events: Vec<&Value> = events.iter().map(AsRef::as_ref).collect();
    Json(json!({"events": events})).into_response()
}

async fn requests(State(stand_in): State<Arc<StandIn>>, Query(filter): Query<AccountFilter>) -> Response {
    let requests = stand_in.calls(filter.account_id.as_deref());
    Json(json!({"requests": requests})).into_response()
}

async fn request_counts(State(stand_in): State<Arc<StandIn>>) -> Response {
    Json(json!({"counts": stand_in.call_counts()})).into_response()
}

impl IntoResponse for TenantError {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut problem = json!({
            "title": status.canonical_reason(),
            "status": status.as_u16(),
        });
        match self {
            Self::Field(error) => {
                problem["detail"] = json!(format!("{} {}", error.field, error.problem));
                problem["field"] = json!(error.field);
            }
            Self::Exists(detail) | Self::Missing(detail) | Self::Refused(detail) => problem["detail"] = json!(detail),
        }
        (status, [(header::CONTENT_TYPE, "application/problem+json")], problem.to_string()).into_response()
    }
}
