//! `verify`: takes a tenant's access key only if it is useful and harmless.
//!
//! It has HTTP routes, so it seals secrets and opens none: it holds no `kms:Decrypt`. Nothing is stored unless every
//! required check has passed; see `check` for what is checked and ARCHITECTURE.md for why.

mod budget;
mod check;
mod examination;
mod idempotency;
mod line;
mod onboarding;
mod patience;
mod provider_view;
mod query;
mod report;
mod route;
mod submission;

#[cfg(test)]
mod fake_aws;
#[cfg(test)]
mod tests;

use lambda_runtime::LambdaEvent;
use shared::custody::{Custody, Lane};
use shared::http::{Problem, Request, Response};
use shared::record::{Mails, Providers, Secrets};
use shared::runtime::{Ambient, ColdStart, MissingVariable, serve};
use shared::telemetry::Bus;
use shared::tenant::Clients;

use line::Line;
use route::Route;

/// What a cold start builds once.
pub struct Verify {
    ambient: Ambient,
    providers: Providers,
    secrets: Secrets,
    mails: Mails,
    send_lane: Custody,
    revoke_lane: Custody,
    bus: Bus,
    tenants: Clients,
}

/// Cold start: reads the environment, builds the clients and serves until Lambda ends the process.
///
/// # Errors
/// A variable is missing, by name, or the Runtime API is gone.
pub async fn run() -> anyhow::Result<()> {
    let verify = Verify::new(&ColdStart::begin())?;
    let verify = &verify;
    serve(|event: LambdaEvent<Request>| verify.handle(event.payload)).await.map_err(anyhow::Error::from_boxed)
}

impl Verify {
    /// The handler over these variables and this connector.
    ///
    /// # Errors
    /// [`MissingVariable`] names the variable: nothing that guards something has a default.
    pub fn new(start: &ColdStart) -> Result<Self, MissingVariable> {
        let (dynamodb, kms, environment) = (start.dynamodb()?, start.kms()?, &start.environment);
        Ok(Self {
            ambient: start.ambient,
            providers: Providers::new(dynamodb.clone(), environment)?,
            secrets: Secrets::new(dynamodb.clone(), environment)?,
            mails: Mails::new(dynamodb, environment)?,
            send_lane: Custody::new(kms.clone(), environment, Lane::Send)?,
            revoke_lane: Custody::new(kms, environment, Lane::Revoke)?,
            bus: start.bus("sendingbee.verify")?,
            tenants: Clients::new(environment, &start.http),
        })
    }

    /// Answers one request and writes one log line about it, with ids and without anything a tenant typed.
    pub async fn handle(&self, mut request: Request) -> Response {
        let started = self.ambient.now();
        let mut line = Line::default();
        let answer = match Route::of(&request) {
            Some(route) => self.answer(&route, &mut request, &mut line).await,
            None => Err(Problem::not_found("route")),
        };
        let response = answer.unwrap_or_else(Response::from);
        line.write(&response, self.ambient.now().duration_since(started));
        response
    }

    async fn answer(&self, route: &Route, request: &mut Request, line: &mut Line) -> Result<Response, Problem> {
        line.route(route);
        // Boxed: each is a deep type by itself.
        match route {
            Route::CreateProvider => Box::pin(self.create_provider(request, line)).await,
            Route::ListProviders => Box::pin(self.list_providers(request, line)).await,
            Route::GetProvider { provider_id } => Box::pin(self.get_provider(provider_id, line)).await,
            Route::GetMail { provider_id, mail_id } => Box::pin(self.get_mail(provider_id, mail_id, line)).await,
            Route::GetPolicy => route::get_policy::serve(request),
            Route::CheckPolicy => self.check_policy(request, line),
        }
    }
}
