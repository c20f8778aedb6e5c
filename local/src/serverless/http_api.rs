//! AWS::Serverless::HttpApi.

use std::collections::BTreeMap;

use super::event::{Authorizer, authorizer};
use crate::template::{DeclaredResource, Fields, PhysicalName, ResourceType, Stack, TemplateError, left_out};

pub(super) const RESOURCE_TYPE: ResourceType = ResourceType {
    attributes: &[
        ("ApiId", |id| Ok(id.name.clone())),
        ("ApiEndpoint", |id| Ok(id.template.settings().api_endpoint.clone())),
    ],
    left_out: &[
        left_out("Name", "for people; the API's id is what ARNs hold"),
        left_out("Description", "for people"),
        left_out("Tags", "nothing reads them"),
        left_out("AccessLogSettings", "`local` itself logs what the API answers; nothing here reads CloudWatch's logs"),
    ],
    ..ResourceType::new(
        "AWS::Serverless::HttpApi",
        // Ten lower-case letters and digits.
        PhysicalName::Assigned(|settings, logical_id| {
            settings.derived_text::<10>(logical_id, b"abcdefghijklmnopqrstuvwxyz0123456789")
        }),
        read,
    )
};

/// How many requests each route takes: a token bucket of `burst` that fills at `rate` a second
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RouteThrottling {
    /// Requests a second, on average.
    pub(crate) rate: u32,
    /// Requests at once.
    pub(crate) burst: u32,
}

/// The HTTP API (API Gateway v2).
#[derive(Clone, Debug)]
pub(crate) struct HttpApiResource {
    /// The API's id.
    pub(crate) id: String,
    /// The stage, `$default`.
    pub(crate) stage: String,
    /// What each route takes; without it nothing but the account's own limits, which are not enforced here.
    pub(crate) throttling: Option<RouteThrottling>,
    /// What single routes take instead, by route key (same page: "Route-level throttling"). The gateway refuses a key that no
    /// route has.
    pub(crate) route_throttling: BTreeMap<String, RouteThrottling>,
    /// Whether routes may ask for IAM signatures.
    pub(super) iam_enabled: bool,
    /// Who is let in to routes that say nothing themselves.
    pub(super) default_authorizer: Authorizer,
}

impl HttpApiResource {
    /// The stack's HTTP API, where it has one.
    pub(crate) fn find(stack: &Stack) -> Option<&Self> {
        stack.all().next()
    }
}

fn read(resource: &DeclaredResource<'_>, stack: &mut Stack) -> Result<(), TemplateError> {
    if HttpApiResource::find(stack).is_some() {
        return Err(resource.error("local knows one HTTP API"));
    }
    let fields = resource.fields()?;
    let stage = fields.string("StageName")?.unwrap_or_else(|| "$default".to_owned());
    if stage != "$default" {
        return Err(fields.error("local knows the stage $default alone"));
    }
    let mut default_authorizer = None;
    let mut iam_enabled = false;
    if let Some(auth) = fields.map("Auth")? {
        iam_enabled = auth.flag("EnableIamAuthorizer")?.unwrap_or(false);
        default_authorizer = auth.string("DefaultAuthorizer")?;
        auth.finish()?;
    }
    let default_authorizer =
        authorizer(default_authorizer.as_deref(), iam_enabled).map_err(|reason| fields.error(reason))?;
    let throttling = match fields.map("DefaultRouteSettings")? {
        Some(settings) => route_throttling(settings)?,
        None => None,
    };
    let mut by_route = BTreeMap::new();
    for (route_key, settings) in fields.named("RouteSettings")? {
        if let Some(throttling) = route_throttling(settings)? {
            by_route.insert(route_key.to_owned(), throttling);
        }
    }
    fields.finish()?;
    stack.add(HttpApiResource {
        id: resource.reference()?,
        stage,
        throttling,
        route_throttling: by_route,
        iam_enabled,
        default_authorizer,
    });
    Ok(())
}

/// The throttling in settings of routes, which have nothing else that is known here.
fn route_throttling(settings: Fields<'_>) -> Result<Option<RouteThrottling>, TemplateError> {
    let throttling = match (settings.number("ThrottlingRateLimit")?, settings.number("ThrottlingBurstLimit")?) {
        (Some(rate), Some(burst)) => Some(RouteThrottling { rate, burst }),
        (None, None) => None,
        _ => return Err(settings.error("ThrottlingRateLimit and ThrottlingBurstLimit go together")),
    };
    settings.finish()?;
    Ok(throttling)
}
