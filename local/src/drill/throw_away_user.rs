//! The IAM user that a drill makes, loses and removes, and those that an earlier drill left because it was killed.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};

use super::aws_answer::{AwsAnswer, element};
use super::aws_client::AwsClient;
use super::aws_service::AwsService;
use super::wait_for;

/// What the names of all such users begin with.
pub(super) const PREFIX: &str = "sendingbee-drill-";

/// The tag that says which stack's drill made a user.
const TAG: &str = "sendingbee-drill";

/// The name of its inline policy.
const POLICY_NAME: &str = "sendingbee-drill";

/// A new key is unknown to AWS for some seconds, sometimes longer.
const PROPAGATION_TIMEOUT: Duration = Duration::from_secs(90);

/// A user of the operator's account.
pub(super) struct ThrowAwayUser<'a> {
    operator: &'a AwsClient,
    pub(super) name: String,
}

/// The user's key.
pub(super) struct ThrowAwayKey {
    pub(super) access_key_id: String,
    /// No `Debug` on this type.
    pub(super) secret_access_key: String,
    /// Calls that the key signs.
    pub(super) client: AwsClient,
}

impl<'a> ThrowAwayUser<'a> {
    /// A user of this name, which need not exist.
    pub(super) fn named(operator: &'a AwsClient, name: String) -> Self {
        Self { operator, name }
    }

    /// Creates the user, tagged with the stack's name. It may do nothing.
    ///
    /// # Errors
    /// IAM refuses.
    pub(super) async fn create(&self, stack: &str) -> Result<()> {
        let parameters = [("UserName", self.name.as_str()), ("Tags.member.1.Key", TAG), ("Tags.member.1.Value", stack)];
        let answer = self.operator.query(AwsService::Iam, "CreateUser", &parameters).await?;
        answer.successful("CreateUser").map(drop)
    }

    /// Creates a key, and waits until AWS knows it.
    ///
    /// # Errors
    /// IAM refuses, or STS does not accept the key in time.
    pub(super) async fn create_key(&self) -> Result<ThrowAwayKey> {
        let parameters = [("UserName", self.name.as_str())];
        let answer = self
            .operator
            .query(AwsService::Iam, "CreateAccessKey", &parameters)
            .await?
            .successful("CreateAccessKey")?;
        let element = |name: &str| answer.element(name).with_context(|| format!("CreateAccessKey: no {name}"));
        let (access_key_id, secret_access_key) = (element("AccessKeyId")?, element("SecretAccessKey")?);
        let client = self.operator.with_key(&access_key_id, &secret_access_key);
        wait_for("STS to know the new key", PROPAGATION_TIMEOUT, || async {
            Ok(client.query(AwsService::Sts, "GetCallerIdentity", &[]).await?.is_success().then_some(()))
        })
        .await?;
        Ok(ThrowAwayKey { access_key_id, secret_access_key, client })
    }

    /// Gives the user a policy, and waits until the key has its permissions.
    ///
    /// # Errors
    /// IAM refuses, or the key may not call iam:GetUser in time.
    pub(super) async fn put_policy(&self, document: &str, key: &ThrowAwayKey) -> Result<()> {
        let parameters = [("UserName", self.name.as_str()), ("PolicyName", POLICY_NAME), ("PolicyDocument", document)];
        self.operator.repeatable(AwsService::Iam, "PutUserPolicy", &parameters).await?;
        wait_for("IAM to allow what the policy allows", PROPAGATION_TIMEOUT, || async {
            Ok(key.client.query(AwsService::Iam, "GetUser", &[]).await?.is_success().then_some(()))
        })
        .await
    }

    /// The ids of the user's keys; none where there is no such user.
    ///
    /// # Errors
    /// IAM does not say.
    pub(super) async fn key_ids(&self) -> Result<Vec<String>> {
        let answer = self.ask("ListAccessKeys", &[]).await?;
        let keys = answer.members("AccessKeyMetadata");
        Ok(keys.into_iter().filter_map(|key| element(key, "AccessKeyId")).map(str::to_owned).collect())
    }

    /// Removes the user with its keys and policies. What is gone already is no error.
    ///
    /// # Errors
    /// IAM refuses: the user or something of it is still there.
    pub(super) async fn remove(&self) -> Result<()> {
        for access_key_id in self.key_ids().await? {
            self.ask("DeleteAccessKey", &[("AccessKeyId", &access_key_id)]).await?;
        }
        let answer = self.ask("ListUserPolicies", &[]).await?;
        for policy in answer.members("PolicyNames") {
            self.ask("DeleteUserPolicy", &[("PolicyName", policy)]).await?;
        }
        self.ask("DeleteUser", &[]).await.map(drop)
    }

    /// A call about the user. NoSuchEntity is an answer.
    async fn ask(&self, action: &str, parameters: &[(&str, &str)]) -> Result<AwsAnswer> {
        let parameters: Vec<(&str, &str)> =
            [("UserName", self.name.as_str())].into_iter().chain(parameters.iter().copied()).collect();
        wait_for(&format!("{action} of {}", self.name), Duration::from_secs(20), || async {
            let answer = self.operator.query(AwsService::Iam, action, &parameters).await?;
            if answer.is_success() || answer.code == "NoSuchEntity" {
                return Ok(Some(answer));
            }
            // A key or policy that was removed a moment ago may still be in the way.
            ensure!(answer.is_passing() || answer.code == "DeleteConflict", "{action}: {}", answer.said());
            Ok(None)
        })
        .await
    }
}

/// The names of the users that earlier drills of this stack left, made before `before`.
///
/// # Errors
/// IAM does not say.
pub(super) async fn leftovers(operator: &AwsClient, stack: &str, before: Timestamp) -> Result<Vec<String>> {
    let (mut names, mut marker) = (Vec::new(), None::<String>);
    loop {
        let mut parameters = vec![("MaxItems", "1000")];
        parameters.extend(marker.as_deref().map(|marker| ("Marker", marker)));
        let answer = operator.repeatable(AwsService::Iam, "ListUsers", &parameters).await?;
        for user in answer.members("Users") {
            let Some(name) = element(user, "UserName").filter(|name| name.starts_with(PREFIX)) else { continue };
            let made_at = element(user, "CreateDate").and_then(|date| date.parse::<Timestamp>().ok());
            if made_at.is_some_and(|made_at| made_at < before) && is_of_stack(operator, name, stack).await? {
                names.push(name.to_owned());
            }
        }
        marker = answer.element("Marker").filter(|_| answer.element("IsTruncated").as_deref() == Some("true"));
        if marker.is_none() {
            return Ok(names);
        }
    }
}

/// Whether our tag says that a drill of this stack made the user. A name alone proves nothing.
async fn is_of_stack(operator: &AwsClient, name: &str, stack: &str) -> Result<bool> {
    let answer = operator.query(AwsService::Iam, "GetUser", &[("UserName", name)]).await?;
    if answer.code == "NoSuchEntity" {
        return Ok(false);
    }
    let answer = answer.successful("GetUser")?;
    let tags = answer.members("Tags");
    Ok(tags.into_iter().any(|tag| element(tag, "Key") == Some(TAG) && element(tag, "Value") == Some(stack)))
}

/// When a user has to be made to be a leftover: a drill that is running is none.
pub(super) fn leftover_before(now: Timestamp, age: Duration) -> Timestamp {
    let age = SignedDuration::try_from(age).unwrap_or(SignedDuration::MAX);
    now.checked_sub(age).unwrap_or(Timestamp::MIN)
}
