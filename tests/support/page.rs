//! The onboarding page as a browser without a script sees it.

use jiff::{SignedDuration, Timestamp};
use operator::{ApiResponse, Tenant};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::{Stack, Tables, now, string, string_of};

/// Somebody who has a link.
pub(crate) struct PageVisitor {
    /// The URL of the page, without the code.
    pub(crate) url: String,
    /// The link's id.
    pub(crate) link_id: String,
    /// The code that opens it.
    pub(crate) code: String,
    /// The session, once the link is opened.
    pub(crate) cookie: Option<String>,
    client: Client,
}

impl PageVisitor {
    /// Somebody who got this answer to `POST /onboarding-links`.
    pub(crate) fn of(made: &ApiResponse) -> Self {
        assert_eq!(made.status, 201, "{}", made.text);
        let (url, code) = made.body["url"].as_str().unwrap().split_once('#').unwrap();
        Self {
            url: url.to_owned(),
            link_id: made.body["link_id"].as_str().unwrap().to_owned(),
            code: code.to_owned(),
            cookie: None,
            client: Client::builder().redirect(Policy::none()).build().unwrap(),
        }
    }

    /// Looks at the page, with this query.
    pub(crate) async fn look(&self, query: &str) -> ApiResponse {
        self.receive(self.client.get(format!("{}{query}", self.url))).await
    }

    /// Asks which checks have ended.
    pub(crate) async fn progress(&self) -> ApiResponse {
        self.receive(self.client.get(format!("{}/progress", self.url))).await
    }

    /// Sends a form of the page, as browsers do.
    pub(crate) async fn send(&self, action: &str, fields: &[(&str, &str)]) -> ApiResponse {
        self.send_with(action, fields, &[("sec-fetch-site", "same-origin"), ("origin", "null")]).await
    }

    /// The same with these headers.
    pub(crate) async fn send_with(
        &self,
        action: &str,
        fields: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> ApiResponse {
        let encode =
            |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
        let body: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        let mut request = self.client.post(format!("{}/{action}", self.url)).body(body.join("&"));
        request = request.header("content-type", "application/x-www-form-urlencoded");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.receive(request).await
    }

    /// Opens the link. Returns whether it could be opened.
    pub(crate) async fn open(&mut self) -> bool {
        let code = self.code.clone();
        let response = self.send("session", &[("code", &code)]).await;
        assert_eq!(response.status, 303, "{}", response.text);
        let Some(cookie) = response.headers.get("set-cookie") else { return false };
        self.cookie = Some(cookie.to_str().unwrap().split(';').next().unwrap().to_owned());
        true
    }

    /// Pastes a key and submits it.
    pub(crate) async fn submit(&self, tenant: &Tenant) -> ApiResponse {
        let fields = [
            ("access_key_id", tenant.access_key_id.as_str()),
            ("secret_access_key", tenant.secret_access_key.as_str()),
            ("region", tenant.region.as_str()),
        ];
        let response = self.send("key", &fields).await;
        assert_eq!(response.status, 303, "{}", response.text);
        response
    }

    async fn receive(&self, request: RequestBuilder) -> ApiResponse {
        let request = match &self.cookie {
            Some(cookie) => request.header("cookie", cookie),
            None => request,
        };
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        ApiResponse { status, headers, text, body }
    }
}

impl Stack {
    /// Asks for a link.
    pub(crate) async fn ask_for_link(&self, body: &Value) -> ApiResponse {
        self.api(Method::POST, "/onboarding-links", Some(body)).await.unwrap()
    }

    /// Somebody of a tenant who has just opened a link for a new provider in any Region.
    pub(crate) async fn opened_page(&self, tenant_id: &str) -> PageVisitor {
        let asked = json!({ "tenant_id": tenant_id, "name": "Main account", "intent": "connect" });
        let mut visitor = PageVisitor::of(&self.ask_for_link(&asked).await);
        assert!(visitor.open().await);
        visitor
    }

    /// A tenant's links as they are listed.
    pub(crate) async fn links_of(&self, tenant_id: &str) -> Vec<Value> {
        let response = self.api(Method::GET, &format!("/onboarding-links?tenant_id={tenant_id}"), None).await.unwrap();
        assert_eq!(response.status, 200, "{}", response.text);
        response.body["links"].as_array().unwrap().clone()
    }

    /// Runs the schedule that tells of links which ended, now.
    pub(crate) async fn run_link_schedule(&self) {
        let event: Value = serde_json::from_str(include_str!("../../events/verify-ended-links.json")).unwrap();
        let response = self.local_api(Method::POST, "/functions/verify/invoke", Some(&event)).await.unwrap();
        assert!(response.status == 200 && !response.headers.contains_key("x-amz-function-error"), "{}", response.text);
    }

    /// The details of the events of this detail-type about a link.
    pub(crate) async fn link_events(&self, detail_type: &str, link_id: &str) -> Vec<Value> {
        let events = self.events(detail_type).await.unwrap();
        events
            .into_iter()
            .map(|mut event| event["detail"].take())
            .filter(|detail| detail["link_id"] == link_id)
            .collect()
    }

    /// Lets a link's time be over.
    pub(crate) async fn expire_link(&self, link_id: &str) {
        let (dynamodb, table) = self.table("ProvidersTable").await;
        let update = dynamodb.update_item().table_name(&table).key("pk", string(&format!("onboarding#{link_id}")));
        let update = update.key("sk", string("link")).condition_expression("attribute_exists(pk)");
        let update = update.update_expression("SET expires_at = :past, next_attempt_at = :past REMOVE session_ends_at");
        update.expression_attribute_values(":past", string("2026-01-01T00:00:00Z")).send().await.unwrap();
    }

    /// Takes the verification out of a link's latest submission.
    pub(crate) async fn forget_link_verification(&self, link_id: &str) {
        let (dynamodb, table) = self.table("ProvidersTable").await;
        let update = dynamodb.update_item().table_name(&table).key("pk", string(&format!("onboarding#{link_id}")));
        let update = update.key("sk", string("submission")).condition_expression("attribute_exists(verification_id)");
        update.update_expression("REMOVE verification_id").send().await.unwrap();
    }

    /// Lets the schedule look at a link, which must be due within two minutes.
    pub(crate) async fn look_at_due_link(&self, link_id: &str) {
        assert!(self.next_look_at_link(link_id).await < now() + SignedDuration::from_mins(2));
        assert!(Tables::new(self).await.make_link_due(link_id).await);
        self.run_link_schedule().await;
    }

    /// When a link is looked at next.
    pub(crate) async fn next_look_at_link(&self, link_id: &str) -> Timestamp {
        let (dynamodb, table) = self.table("ProvidersTable").await;
        let get = dynamodb.get_item().table_name(&table).key("pk", string(&format!("onboarding#{link_id}")));
        let item = get.key("sk", string("link")).consistent_read(true).send().await.unwrap().item.unwrap();
        string_of(&item, "next_attempt_at").parse().unwrap()
    }

    /// Moves the end of a link's session by some minutes. Returns the new end.
    pub(crate) async fn move_session_end(&self, link_id: &str, minutes: i64) -> Timestamp {
        let (dynamodb, table) = self.table("ProvidersTable").await;
        let pk = string(&format!("onboarding#{link_id}"));
        let get = dynamodb.get_item().table_name(&table).key("pk", pk.clone()).key("sk", string("link"));
        let item = get.consistent_read(true).send().await.unwrap().item.unwrap();
        let end: Timestamp = string_of(&item, "session_ends_at").parse().unwrap();
        let end = end + SignedDuration::from_mins(minutes);
        let update = dynamodb.update_item().table_name(&table).key("pk", pk).key("sk", string("link"));
        let update = update.update_expression("SET session_ends_at = :end");
        update.expression_attribute_values(":end", string(&end.to_string())).send().await.unwrap();
        end
    }
}
