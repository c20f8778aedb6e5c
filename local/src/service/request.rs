//! A request whose caller is known.

use fakecloud_core::protocol::AwsProtocol;
use fakecloud_core::service::AwsRequest;
use parking_lot::Mutex;

use super::call::Call;
use super::caller::Caller;

/// A call, by whom it is, and which account's resources it is about.
#[derive(Clone, Copy)]
pub(crate) struct ServiceRequest<'a> {
    /// What was asked.
    pub(crate) call: &'a Call,
    /// Who asks.
    pub(crate) caller: &'a Caller,
    /// The account whose resources it is about.
    pub(crate) account_id: &'a str,
    /// The Region it is about.
    pub(crate) region: &'a str,
}

impl ServiceRequest<'_> {
    /// The request in the form that the embedded services take it.
    pub(super) fn to_embedded(self) -> AwsRequest {
        let Self { call, caller, account_id, region } = self;
        AwsRequest {
            service: call.service.clone(),
            action: call.operation.clone(),
            region: region.to_owned(),
            account_id: account_id.to_owned(),
            request_id: call.request_id.clone(),
            headers: call.headers.clone(),
            query_params: call.parameters.clone(),
            body: call.body.clone(),
            body_stream: Mutex::new(None),
            path_segments: call.segments.clone(),
            raw_path: call.path.clone(),
            raw_query: call.query.clone(),
            method: call.method.clone(),
            is_query_protocol: call.protocol == AwsProtocol::Query,
            access_key_id: Some(caller.access_key_id.clone()),
            principal: Some(caller.principal.clone()),
        }
    }
}
