//! Verification: accepts a tenant's access key only if it is useful and harmless.
//!
//! One crate, two functions, two roles. `verify` has the HTTP routes, so it seals secrets and opens none: its role has no `kms:Decrypt`.
//! Nothing is stored unless every required check has passed. `verify-worker` opens the send lane and verifies providers that are in
//! use; no HTTP route reaches it.
//!
//! | module | what it holds |
//! |---|---|
//! | `route` | one file for each operation of the API |
//! | `submission`, `idempotency` | what a caller submits, and a repeated request |
//! | `onboarding_link` | links with which tenants hand keys over in the browser |
//! | `page` | what they see there |
//! | `onboarding` | from a submitted key to a stored provider, or to the reason why not |
//! | `rotation`, `rotation_view` | a key that replaces a provider's, and how that is shown |
//! | `verification` | the calls into the tenant's account |
//! | `configuration` | the configuration of a tenant's SES, with its consent |
//! | `check` | what each answer means: pure functions |
//! | `report_builder` | the report while checks are still being made |
//! | `verification_view` | a verification that somebody asked for, as it is shown |
//! | `hand_over` | mail that is handed over by the API |
//! | `dead_letter` | mail that was set aside, and whether it can be sent by now |
//! | `queues` | the stack's queues, as they are counted |
//! | `worker` | `verify-worker`: the watch over providers |
//! | `time_budget`, `retry_policy` | how long calls may take, and which are repeated |

mod check;
mod configuration;
mod dead_letter;
mod hand_over;
mod idempotency;
mod onboarding;
mod onboarding_link;
mod page;
mod provider_view;
mod queues;
mod report_builder;
mod retry_policy;
mod rotation;
mod rotation_view;
mod route;
mod submission;
mod time_budget;
mod verification;
mod verification_view;
mod worker;

#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use lambda_runtime::LambdaEvent;
use serde::{Deserialize, Serialize};
use shared::custody::{Custody, Lane};
use shared::http::{Problem, Request, RequestLog, Response};
use shared::queue::Queue;
use shared::record::{Assurance, Mails, Providers, Secrets};
use shared::runtime::{Ambient, Bucket, ColdStart, MissingVariable, ScheduledEvent, serve};
use shared::telemetry::Bus;
use shared::tenant::Clients;
use thiserror::Error;

use page::{InvalidPageSettings, PageSettings};
pub use queues::InvalidQueueUrls;
use queues::Queues;
pub use route::ROUTES;
use route::Route;
use route::get_forwarding::NoticeBus;
use worker::VerifyWorker;

/// What a cold start builds once.
pub struct Verify {
    ambient: Ambient,
    providers: Providers,
    secrets: Secrets,
    mails: Mails,
    /// The queue that all mail takes.
    send_queue: Queue,
    /// Mail that was set aside.
    send_dead_letter_queue: Queue,
    /// Files of mails, below the tenants' ids.
    attachments: Arc<Bucket>,
    /// The queue to `verify-worker`.
    verification_queue: Queue,
    send_lane: Custody,
    revoke_lane: Custody,
    bus: Bus,
    tenants: Clients,
    required_assurance: Assurance,
    notice_bus: NoticeBus,
    page: PageSettings,
    /// All queues, which are counted.
    queues: Queues,
}

/// A variable of the environment that `verify` cannot do without.
#[derive(Debug, Error)]
pub enum ColdStartError {
    /// It is not set.
    #[error(transparent)]
    Missing(#[from] MissingVariable),
    /// It is no assurance.
    #[error("the environment variable {REQUIRED_ASSURANCE} must be observed, explicitly_denied or proven")]
    UnknownAssurance,
    /// It does not name the queues.
    #[error(transparent)]
    Queues(#[from] InvalidQueueUrls),
    /// The onboarding page cannot be shown with it.
    #[error(transparent)]
    Page(#[from] PageSettingsError),
}

/// A setting of the onboarding page cannot be used.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct PageSettingsError(#[from] InvalidPageSettings);

/// What invokes the function: a request, or the schedule that has operators told of links that ended.
#[derive(Deserialize)]
#[serde(untagged)]
enum VerifyEvent {
    Schedule(ScheduledEvent),
    Request(Box<Request>),
}

/// The response to either.
#[derive(Serialize)]
#[serde(untagged)]
enum VerifyResponse {
    Http(Box<Response>),
    /// For the scheduler, which reads nothing.
    Empty,
}

/// How well it must be known that a key can do nothing else: the template's parameter `RequiredAssurance`.
const REQUIRED_ASSURANCE: &str = "REQUIRED_ASSURANCE";

/// Cold start: reads the environment, builds the clients and serves until Lambda ends the process.
///
/// # Errors
/// A variable is missing, by name, or the Runtime API is gone.
pub async fn run() -> anyhow::Result<()> {
    let verify = Verify::new(&ColdStart::begin())?;
    let verify = &verify;
    // Boxed, because the SDK's futures nest deeper than the compiler's layout computation goes.
    serve(|event: LambdaEvent<VerifyEvent>| {
        Box::pin(async move {
            match event.payload {
                VerifyEvent::Request(request) => VerifyResponse::Http(Box::new(verify.handle(*request).await)),
                VerifyEvent::Schedule(_) => {
                    verify.tell_of_links().await;
                    VerifyResponse::Empty
                }
            }
        })
    })
    .await
    .map_err(anyhow::Error::from_boxed)
}

/// Cold start of `verify-worker`: serves until Lambda ends the process.
///
/// # Errors
/// A variable is missing, by name, or the Runtime API is gone.
pub async fn run_worker() -> anyhow::Result<()> {
    let worker = Arc::new(VerifyWorker::new(&ColdStart::begin())?);
    serve(move |event| Box::pin(Arc::clone(&worker).handle(event))).await.map_err(anyhow::Error::from_boxed)
}

/// The assurance that the operator requires.
fn required_assurance(start: &ColdStart) -> Result<Assurance, ColdStartError> {
    Assurance::parse(&start.required(REQUIRED_ASSURANCE)?).ok_or(ColdStartError::UnknownAssurance)
}

impl Verify {
    /// The handler over the clients of this cold start.
    ///
    /// # Errors
    /// [`ColdStartError`] names the variable: nothing that guards something has a default.
    pub fn new(start: &ColdStart) -> Result<Self, ColdStartError> {
        let (dynamodb, kms, environment) = (start.dynamodb()?, start.kms()?, &start.environment);
        Ok(Self {
            ambient: start.ambient,
            providers: Providers::new(dynamodb.clone(), environment)?,
            secrets: Secrets::new(dynamodb.clone(), environment)?,
            mails: Mails::new(dynamodb, environment)?,
            send_queue: Queue::new(start.sqs()?, start.required("SEND_QUEUE_URL")?, "send"),
            send_dead_letter_queue: Queue::new(
                start.sqs()?,
                start.required("SEND_DEAD_LETTER_QUEUE_URL")?,
                "send dead-letter",
            ),
            attachments: Arc::new(start.bucket("ATTACHMENTS_BUCKET")?),
            verification_queue: Queue::new(start.sqs()?, start.required("VERIFICATION_QUEUE_URL")?, "verification"),
            send_lane: Custody::new(kms.clone(), environment, Lane::Send)?,
            revoke_lane: Custody::new(kms, environment, Lane::Revoke)?,
            bus: start.bus("sendingbee.verify")?,
            tenants: Clients::new(environment, &start.http),
            required_assurance: required_assurance(start)?,
            notice_bus: NoticeBus::from_variable(start.required("NOTICE_BUS_ARN")?),
            page: PageSettings::new(start).map_err(PageSettingsError)?,
            queues: Queues::new(start)?,
        })
    }

    /// Answers one request and writes one log line about it, with ids and without anything that a tenant typed.
    pub async fn handle(&self, mut request: Request) -> Response {
        let started = self.ambient.now();
        let mut log = RequestLog::default();
        let route = request.route_key.as_deref().and_then(Route::from_key);
        let result = match route {
            Some(route) => self.dispatch(route, &mut request, &mut log).await,
            None => Err(Problem::not_found("route")),
        };
        let is_problem = result.is_err();
        let mut response = log.finish(result, self.ambient.now().duration_since(started));
        if route.is_some_and(Route::is_page) {
            if is_problem {
                response = page::problem_page(response, &request, &self.page);
            }
            page::secure(&mut response, &self.page);
        }
        response
    }

    async fn dispatch(&self, route: Route, request: &mut Request, log: &mut RequestLog) -> Result<Response, Problem> {
        log.route(route.name());
        // Boxed, because each future is a large value of a deep type.
        match route {
            Route::CreateProvider => Box::pin(self.create_provider(request, log)).await,
            Route::ListProviders => Box::pin(self.list_providers(request, log)).await,
            Route::GetProvider => Box::pin(self.get_provider(request, log)).await,
            Route::CreateMails => Box::pin(self.create_mails(request, log)).await,
            Route::ListMails => Box::pin(self.list_mails(request, log)).await,
            Route::GetMail => Box::pin(self.get_mail(request, log)).await,
            Route::CancelMail => Box::pin(self.cancel_mail(request, log)).await,
            Route::CancelMails => Box::pin(self.cancel_mails(request, log)).await,
            Route::ResendMails => Box::pin(self.resend_mails(request, log)).await,
            Route::EraseTenant => Box::pin(self.erase_tenant(request, log)).await,
            Route::CreateRotation => Box::pin(self.create_rotation(request, log)).await,
            Route::GetRotation => Box::pin(self.get_rotation(request, log)).await,
            Route::CancelRotation => Box::pin(self.cancel_rotation(request, log)).await,
            Route::CreateTestMail => Box::pin(self.create_test_mail(request, log)).await,
            Route::PutConfiguration => Box::pin(self.put_configuration(request, log)).await,
            Route::GetConfiguration => Box::pin(self.get_configuration(request, log)).await,
            Route::DeleteConfiguration => Box::pin(self.delete_configuration(request, log)).await,
            Route::GetQueues => Box::pin(self.get_queues(request, log)).await,
            Route::ListDeadLetters => Box::pin(self.list_dead_letters(request, log)).await,
            Route::RedriveDeadLetters => Box::pin(self.redrive_dead_letters(request, log)).await,
            Route::CreateVerification => Box::pin(self.create_verification(request, log)).await,
            Route::GetVerification => Box::pin(self.get_verification(request, log)).await,
            Route::GetMailSchema => route::get_mail_schema::get_mail_schema(request),
            Route::GetPolicy => route::get_policy::get_policy(request),
            Route::GetForwarding => route::get_forwarding::get_forwarding(request, &self.notice_bus),
            Route::CheckPolicy => self.check_policy(request, log),
            Route::CreateOnboardingLink => Box::pin(self.create_onboarding_link(request, log)).await,
            Route::ListOnboardingLinks => Box::pin(self.list_onboarding_links(request, log)).await,
            Route::RevokeOnboardingLink => Box::pin(self.revoke_onboarding_link(request, log)).await,
            Route::GetPageAsset => route::get_page_asset::get_page_asset(request),
            Route::GetPage => Box::pin(self.get_page(request, log)).await,
            Route::OpenPage => Box::pin(self.open_page(request, log)).await,
            Route::SubmitKey => Box::pin(self.submit_key(request, log)).await,
            Route::CheckAgain => Box::pin(self.check_again(request, log)).await,
            Route::GetProgress => Box::pin(self.get_progress(request, log)).await,
        }
    }
}

#[cfg(test)]
mod event_tests {
    use super::*;

    #[test]
    fn a_schedule_is_known_by_its_detail_type_and_all_else_is_a_request() {
        let read = |event: &str| match serde_json::from_str(event).unwrap() {
            VerifyEvent::Schedule(_) => "schedule".to_owned(),
            VerifyEvent::Request(request) => request.route_key.unwrap_or_default(),
        };
        assert_eq!(read(include_str!("../../../events/verify-ended-links.json")), "schedule");
        assert_eq!(read(include_str!("../../../events/verify-create-provider.json")), "POST /providers");
        assert!(serde_json::from_str::<VerifyEvent>(r#"{"detail-type": "Something Else"}"#).is_err());
        assert_eq!(serde_json::to_value(VerifyResponse::Empty).unwrap(), serde_json::Value::Null);
    }
}
