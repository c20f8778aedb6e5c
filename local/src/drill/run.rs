//! The steps of a drill.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::aws_answer::AwsAnswer;
use super::aws_client::AwsClient;
use super::aws_service::AwsService;
use super::clean_up::HandOver;
use super::deployed_stack::DeployedStack;
use super::fact::{self, FactVerdict, Observation};
use super::throw_away_user::{self, ThrowAwayKey, ThrowAwayUser};
use super::{report, wait_for};
use crate::console::Progress;

/// A key id of the right shape that AWS cannot have issued: its account has more than twelve digits.
const IMPOSSIBLE_KEY: &str = "AKIA7777777777777777";

/// How often an answer is asked for that may change while AWS spreads a new key or policy, and the pause in between.
const SETTLING_ATTEMPTS: u32 = 20;
const SETTLING_PAUSE: Duration = Duration::from_secs(2);

/// How long a key that was seen dead may still be known elsewhere.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a mail may take to reach its fate.
const MAIL_TIMEOUT: Duration = Duration::from_secs(180);

/// How long the key may take to die. The stack itself calls it overdue after a quarter of an hour.
const DEATH_TIMEOUT: Duration = Duration::from_secs(16 * 60);

/// A drill under way.
pub(super) struct DrillRun<'a> {
    pub(super) progress: &'a Progress,
    pub(super) operator: &'a AwsClient,
    pub(super) stack: &'a DeployedStack,
    pub(super) account_id: String,
    pub(super) from: &'a str,
    pub(super) user: ThrowAwayUser<'a>,
    /// What has to be cleaned up of the stack's own records, also if the drill is interrupted.
    pub(super) hand_over: Mutex<HandOver>,
    pub(super) observations: Mutex<Vec<Observation>>,
}

impl DrillRun<'_> {
    /// Runs the drill. Returns the times of the key's death, as the API shows them.
    pub(super) async fn run(&self) -> Result<Value> {
        let key = self.make_key().await?;
        let provider_id = self.onboard(&key).await?;
        self.send_mails(&provider_id).await?;
        let times = self.lose(&provider_id).await?;
        self.see_dead(&provider_id, &key, &times).await?;
        self.observe(self.quarantine_policy().await?);
        for fact in fact::FOR_PEOPLE {
            self.observe(Observation::for_people(fact));
        }
        Ok(times)
    }

    /// Makes the user, its key and its policy, and asks what a key may be told at each stage.
    async fn make_key(&self) -> Result<ThrowAwayKey> {
        let (progress, user) = (self.progress, &self.user);
        user.create(&self.stack.name).await?;
        progress.step("user", &user.name);
        let made = Instant::now();
        let key = user.create_key().await?;
        progress
            .step("key", &format!("{} known to STS after {:.1} s", key.access_key_id, made.elapsed().as_secs_f64()));
        let denied = self.probe_deletion(&key, &user.name, |_| true).await?;
        self.observe(Observation::of_denied_deletion(fact::DENIED_BEFORE_LOOK_UP, &denied));
        self.observe(Observation::of_template(&self.probe_template(&key).await?));

        let path = format!("/policy?account_id={}&style=hardened", self.account_id);
        let document = self.stack.call("GET", &path, None).await?.successful(&format!("GET {path}"))?.body;
        let put = Instant::now();
        user.put_policy(&document, &key).await?;
        progress.step("policy", &format!("hardened, in effect after {:.1} s", put.elapsed().as_secs_f64()));
        // A policy that one server of IAM knows, another may not know yet.
        let allowed = self.probe_deletion(&key, &user.name, |answer| !answer.is_denied()).await?;
        self.observe(Observation::of_allowed_deletion(&allowed));
        let other = self.probe_deletion(&key, &format!("{}nobody", throw_away_user::PREFIX), |_| true).await?;
        self.observe(Observation::of_denied_deletion(fact::OTHER_USER_DENIED, &other));
        Ok(key)
    }

    /// Asks for the deletion of a key that cannot exist, until the answer is about that and `is_settled`.
    async fn probe_deletion(
        &self,
        key: &ThrowAwayKey,
        user_name: &str,
        is_settled: impl Fn(&AwsAnswer) -> bool,
    ) -> Result<AwsAnswer> {
        let parameters = [("UserName", user_name), ("AccessKeyId", IMPOSSIBLE_KEY)];
        settled(|| key.client.query(AwsService::Iam, "DeleteAccessKey", &parameters), is_settled).await
    }

    /// Asks for a mail by a template that does not exist, as a user who may do nothing: the denial names the action. If the
    /// mail were sent, it would go to the simulator.
    async fn probe_template(&self, key: &ThrowAwayKey) -> Result<AwsAnswer> {
        let mail = json!({
            "FromEmailAddress": self.from,
            "Destination": { "ToAddresses": ["success@simulator.amazonses.com"] },
            "Content": { "Template": { "TemplateName": self.user.name, "TemplateData": "{}" } },
        });
        let path = "/v2/email/outbound-emails";
        settled(|| key.client.json(AwsService::Ses, "POST", path, "", Some(&mail)), |_| true).await
    }

    /// Hands the key over as a canary. Returns the provider's id.
    async fn onboard(&self, key: &ThrowAwayKey) -> Result<String> {
        let request = json!({
            "tenant_id": self.user.name,
            "name": "drill",
            "region": self.operator.region(),
            "access_key_id": key.access_key_id,
            "secret_access_key": key.secret_access_key,
            "canary": true,
        });
        let mut answer = AwsAnswer::default();
        // A policy that is in effect in one place need not be everywhere.
        for pause in [0, 10, 20] {
            sleep(Duration::from_secs(pause)).await;
            self.note_hand_over(HandOver::Sent);
            answer = self.stack.call("POST", "/providers", Some(&request)).await?;
            if !matches!(answer.status, 422 | 503) {
                break;
            }
            self.progress.step("refused", &format!("POST /providers: {}", answer.status));
        }
        let provider = answer.json();
        if answer.status != 201 {
            // 409 may be the answer to a repetition of what was stored.
            if (400..500).contains(&answer.status) && answer.status != 409 {
                self.note_hand_over(HandOver::Refused);
            }
            bail!("POST /providers: {} {}", answer.said(), failed_checks(&provider));
        }
        let provider_id = provider["provider_id"].as_str().context("POST /providers: no provider_id")?.to_owned();
        self.note_hand_over(HandOver::Stored(provider_id.clone()));
        for check in provider["report"]["checks"].as_array().into_iter().flatten() {
            self.progress.step("check", &format!("{:<8} {}", text(&check["outcome"]), text(&check["name"])));
        }
        self.progress.step("taken", &format!("{provider_id}, assurance {}", text(&provider["assurance"])));
        Ok(provider_id)
    }

    /// Sends mail to SES's mailbox simulator, and watches its fate.
    async fn send_mails(&self, provider_id: &str) -> Result<()> {
        let recipients = ["success", "bounce", "suppressionlist"];
        for recipient in recipients {
            self.stack.enqueue(&self.mail(provider_id, recipient, recipient)).await?;
        }
        self.progress.step("queue", &format!("{} mails handed over", recipients.len()));
        for recipient in recipients {
            let mail = self.fate(provider_id, recipient).await?;
            let says = format!("{recipient}@: {} {}", text(&mail["state"]), text(&mail["ses_message_id"]));
            self.progress.step("mail", says.trim_end());
            if recipient == "suppressionlist" {
                self.observe(Observation::of_suppressed(&mail));
                self.observe(self.insights(text(&mail["ses_message_id"])).await?);
            } else {
                ensure!(
                    mail["state"] == "sent",
                    "the mail to {recipient}@simulator.amazonses.com is {} ({}): is {} (--from) a verified identity of this \
                     account in {}?",
                    text(&mail["state"]),
                    text(&mail["reason"]),
                    self.from,
                    self.operator.region()
                );
            }
        }
        Ok(())
    }

    /// The events that SES has of a mail, looked for some times.
    async fn insights(&self, ses_message_id: &str) -> Result<Observation> {
        let path = format!("/v2/email/insights/{ses_message_id}");
        let mut observation = Observation::new(fact::SUPPRESSED_BOUNCES, FactVerdict::NotObservable, "");
        for _ in 0..5 {
            let answer = self.operator.json(AwsService::Ses, "GET", &path, "", None).await?;
            let is_worth_it = answer.is_success() || answer.is_passing();
            observation = Observation::of_insights(&answer);
            if observation.verdict != FactVerdict::NotObservable || !is_worth_it {
                break;
            }
            sleep(Duration::from_secs(3)).await;
        }
        Ok(observation)
    }

    /// Reports the key, and waits until it is dead. Returns the times.
    async fn lose(&self, provider_id: &str) -> Result<Value> {
        let request = json!({ "provider_id": provider_id });
        let answer = self.stack.call("POST", "/drills", Some(&request)).await?.successful("POST /drills")?;
        let drill_id = text(&answer.json()["drill_id"]).to_owned();
        self.progress.step("breach", &format!("{drill_id} puts Credential Breach on the bus"));
        let drill = wait_for("the key's death", DEATH_TIMEOUT, || async {
            let drill = self.stack.show(&format!("/drills/{drill_id}")).await?;
            Ok((drill["outcome"] != "running").then_some(drill))
        })
        .await?;
        ensure!(
            drill["outcome"] == "dead",
            "{drill_id} is {}: README, \"Drills\", says where to look; order {}",
            text(&drill["outcome"]),
            text(&drill["order_id"])
        );
        self.progress.step("times", &steps(&drill));
        Ok(drill)
    }

    /// Sees by AWS itself that the key is dead, and that no mail is sent with it.
    async fn see_dead(&self, provider_id: &str, key: &ThrowAwayKey, times: &Value) -> Result<()> {
        let order = self.stack.show(&format!("/revocations/{}", text(&times["order_id"]))).await?;
        let receipt = &order["keys"][0]["receipt"];
        self.progress.step("deleted", &format!("request {}", text(&receipt["delete_request_id"])));
        for plane in ["sts", "ses"] {
            let refused = &receipt["refused"][plane];
            self.progress
                .step("refused", &format!("by {plane} at {}: {}", text(&refused["at"]), text(&refused["code"])));
        }
        // The stack saw it refused elsewhere, and AWS honours a deleted key for some seconds.
        let answer = wait_for("STS to refuse the dead key", REFUSAL_TIMEOUT, || async {
            let answer = key.client.query(AwsService::Sts, "GetCallerIdentity", &[]).await?;
            Ok((!answer.is_success() && !answer.is_passing()).then_some(answer))
        })
        .await?;
        ensure!(answer.code == "InvalidClientTokenId", "STS about the dead key: {}", answer.said());
        wait_for("IAM to list no key of the user", REFUSAL_TIMEOUT, || async {
            Ok(self.user.key_ids().await?.is_empty().then_some(()))
        })
        .await?;
        self.progress.step("account", &format!("STS: {}; the user has no key any more", answer.code));

        self.stack.enqueue(&self.mail(provider_id, "after", "success")).await?;
        let mail = self.fate(provider_id, "after").await?;
        ensure!(mail["state"] == "rejected", "a mail after the key's death is {}", text(&mail["state"]));
        self.progress.step("mail", &format!("after the key's death: rejected, {}", text(&mail["reason"])));
        Ok(())
    }

    /// The quarantine policy that nobody has seen, as AWS has it.
    async fn quarantine_policy(&self) -> Result<Observation> {
        let arn = format!("arn:{}:iam::aws:policy/AWSCompromisedKeyQuarantineV4", self.operator.partition());
        let policy = self.operator.query(AwsService::Iam, "GetPolicy", &[("PolicyArn", &arn)]).await?;
        let Some(version) = policy.element("DefaultVersionId").filter(|_| policy.is_success()) else {
            return Ok(Observation::of_quarantine(Err(&policy)));
        };
        let parameters = [("PolicyArn", arn.as_str()), ("VersionId", version.as_str())];
        let answer = self.operator.query(AwsService::Iam, "GetPolicyVersion", &parameters).await?;
        Ok(match answer.element("Document").filter(|_| answer.is_success()) {
            Some(document) => Observation::of_quarantine(Ok(&percent_decode_str(&document).decode_utf8_lossy())),
            None => Observation::of_quarantine(Err(&answer)),
        })
    }

    fn mail(&self, provider_id: &str, mail_id: &str, recipient: &str) -> Value {
        json!({
            "version": 1,
            "tenant_id": self.user.name,
            "provider_id": provider_id,
            "mail_id": mail_id,
            "from": self.from,
            "to": [format!("{recipient}@simulator.amazonses.com")],
            "subject": "Drill",
            "text": "A drill of the revocation of access keys.",
        })
    }

    /// A mail, once nothing more happens to it.
    async fn fate(&self, provider_id: &str, mail_id: &str) -> Result<Value> {
        let path = format!("/providers/{provider_id}/mails/{mail_id}");
        wait_for(&format!("the fate of the mail {mail_id}"), MAIL_TIMEOUT, || async {
            let answer = self.stack.call("GET", &path, None).await?;
            if answer.status == 404 {
                return Ok(None);
            }
            let mail = answer.successful(&format!("GET {path}"))?.json();
            let is_final = ["sent", "rejected", "in_doubt", "expired"].contains(&text(&mail["state"]));
            Ok(is_final.then_some(mail))
        })
        .await
    }

    fn observe(&self, observation: Observation) {
        let from_aws = self.operator.stand_in().is_none();
        self.progress.step("fact", &report::describe(&observation, from_aws));
        self.observations.lock().unwrap_or_else(PoisonError::into_inner).push(observation);
    }

    fn note_hand_over(&self, hand_over: HandOver) {
        *self.hand_over.lock().unwrap_or_else(PoisonError::into_inner) = hand_over;
    }
}

/// Asks until AWS knows the key and the answer is settled; the last answer where it never is.
async fn settled<Asked>(ask: impl Fn() -> Asked, is_settled: impl Fn(&AwsAnswer) -> bool) -> Result<AwsAnswer>
where
    Asked: Future<Output = Result<AwsAnswer>>,
{
    for _ in 0..SETTLING_ATTEMPTS {
        let answer = ask().await?;
        if !answer.is_unknown_key() && !answer.is_passing() && is_settled(&answer) {
            return Ok(answer);
        }
        sleep(SETTLING_PAUSE).await;
    }
    ask().await
}

/// The steps of a drill in seconds from the report.
fn steps(drill: &Value) -> String {
    let at = |step: &str| drill[step].as_str().and_then(|at| at.parse::<Timestamp>().ok());
    let Some(reported_at) = at("reported_at").or_else(|| at("started_at")) else { return String::new() };
    let steps = [
        ("ordered", "ordered_at"),
        ("stopped", "stopped_at"),
        ("deleted", "deleted_at"),
        ("seen dead", "seen_dead_at"),
    ];
    let steps = steps.iter().filter_map(|(name, step)| {
        Some(format!("{name} {:.2} s", at(step)?.duration_since(reported_at).as_secs_f64()))
    });
    format!("after the report: {}", steps.collect::<Vec<_>>().join(", "))
}

/// The checks that stand against a key.
fn failed_checks(provider: &Value) -> String {
    let checks = provider["report"]["checks"].as_array().into_iter().flatten();
    let failed = checks.filter(|check| check["outcome"] == "failed" || check["outcome"] == "unknown");
    failed.map(|check| format!("{}: {}", text(&check["name"]), text(&check["evidence"]))).collect::<Vec<_>>().join("; ")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
