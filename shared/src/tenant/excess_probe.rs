//! Excess probes in IAM and STS: what a harmless key may not do.
//!
//! Each is harmless by construction: it names a thing that cannot exist, or it only reads. What must not exist is no
//! parameter, or has a random name of our own. Success and [`FailureKind::NotFound`](super::FailureKind::NotFound) mean
//! allowed. That IAM authorizes a call before it looks up what the call names is [I]: seen for the delete probe.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_iam::types::StatusType;

use super::calls::{for_tenant, send};
use super::write_tracker::WriteTracker;
use super::{Clients, Credential, Failure};
use crate::id::AccessKeyId;

/// The shortest life of a session that STS mints, in seconds (AWS: STS API reference, `GetSessionToken`).
const SHORTEST_SESSION_S: i32 = 900;

/// The document of the policy probe. If it were ever written, it would take permissions away and give none.
const DENY_ALL: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;

/// An access key of the user, as IAM lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedKey {
    /// The id, shortened for people.
    pub masked_id: String,
    /// Whether it can be used.
    pub is_active: bool,
    /// Whether it is the key that asked.
    pub is_own: bool,
}

/// Whether sessions can be minted from a key, and whether they are of any use.
#[derive(Debug)]
pub struct SessionProbe {
    /// `sts:GetSessionToken`.
    pub minted: Result<(), Failure>,
    /// `ses:GetAccount` with the session; absent if none was minted.
    pub used: Option<Result<(), Failure>>,
}

impl Clients {
    /// `iam:UpdateAccessKey` on the own user, with a key id that cannot exist. It would set it to active, which the own
    /// key is.
    ///
    /// # Errors
    /// AWS always refuses; the kind of the failure is the result.
    pub async fn probe_update_access_key(&self, credential: &Credential, user_name: &str) -> Result<(), Failure> {
        let nobody = AccessKeyId::impossible();
        if nobody == credential.access_key_id {
            return Ok(());
        }
        let call =
            self.iam.update_access_key().user_name(user_name).access_key_id(nobody.as_str()).status(StatusType::Active);
        send!(call, for_tenant!(aws_sdk_iam, credential)).map(drop)
    }

    /// `iam:AttachUserPolicy` on the own user, with a policy that cannot exist: `nothing` is a random name of ours.
    ///
    /// # Errors
    /// AWS always refuses; the kind of the failure is the result.
    pub async fn probe_attach_user_policy(
        &self,
        credential: &Credential,
        user_name: &str,
        account_id: &str,
        nothing: &str,
    ) -> Result<(), Failure> {
        let arn = format!("arn:{}:iam::{account_id}:policy/{nothing}", credential.region.partition());
        let call = self.iam.attach_user_policy().user_name(user_name).policy_arn(arn);
        send!(call, for_tenant!(aws_sdk_iam, credential)).map(drop)
    }

    /// `iam:AddUserToGroup` of the own user, with a group that cannot exist.
    ///
    /// # Errors
    /// AWS always refuses; the kind of the failure is the result.
    pub async fn probe_add_user_to_group(
        &self,
        credential: &Credential,
        user_name: &str,
        nothing: &str,
    ) -> Result<(), Failure> {
        let call = self.iam.add_user_to_group().user_name(user_name).group_name(nothing);
        send!(call, for_tenant!(aws_sdk_iam, credential)).map(drop)
    }

    /// `iam:UpdateLoginProfile` on the own user without a new password, which changes nothing even if the user has one.
    ///
    /// # Errors
    /// The refusal, classified. `NotFound` = allowed: the user has no console password.
    pub async fn probe_update_login_profile(&self, credential: &Credential, user_name: &str) -> Result<(), Failure> {
        let call = self.iam.update_login_profile().user_name(user_name);
        send!(call, for_tenant!(aws_sdk_iam, credential)).map(drop)
    }

    /// `iam:CreateAccessKey` for a user that cannot exist. On the own user there is no harmless probe: it would make a
    /// key.
    ///
    /// # Errors
    /// AWS always refuses; the kind of the failure is the result.
    pub async fn probe_create_access_key(&self, credential: &Credential, nobody: &str) -> Result<(), Failure> {
        send!(self.iam.create_access_key().user_name(nobody), for_tenant!(aws_sdk_iam, credential)).map(drop)
    }

    /// `iam:PutUserPolicy` for a user that cannot exist. On the own user there is no harmless probe: whether IAM looks at
    /// the permission or at the document first is not known.
    ///
    /// # Errors
    /// AWS always refuses; the kind of the failure is the result.
    pub async fn probe_put_user_policy(&self, credential: &Credential, nobody: &str) -> Result<(), Failure> {
        let call = self.iam.put_user_policy().user_name(nobody).policy_name(nobody).policy_document(DENY_ALL);
        send!(call, for_tenant!(aws_sdk_iam, credential)).map(drop)
    }

    /// `iam:ListAccessKeys` of the own user. A user has two keys at most, so there is no second page.
    ///
    /// # Errors
    /// The refusal, classified.
    pub async fn probe_list_access_keys(
        &self,
        credential: &Credential,
        user_name: &str,
    ) -> Result<Vec<ListedKey>, Failure> {
        let answer = send!(self.iam.list_access_keys().user_name(user_name), for_tenant!(aws_sdk_iam, credential))?;
        Ok(answer
            .access_key_metadata()
            .iter()
            .map(|key| {
                let id = key.access_key_id().unwrap_or_default();
                ListedKey {
                    masked_id: AccessKeyId::from_pasted(id).map_or_else(|_| "…".to_owned(), |id| id.masked()),
                    is_active: key.status() == Some(&StatusType::Active),
                    is_own: id == credential.access_key_id.as_str(),
                }
            })
            .collect())
    }

    /// `sts:GetSessionToken`, and `ses:GetAccount` with what it mints. The session is dropped with this call and lives as
    /// short as STS allows: nothing of it is returned. STS is asked in the home Region at its regional endpoint, whose
    /// sessions are valid in every Region (AWS: STS, "Regions and endpoints").
    pub async fn probe_session(&self, credential: &Credential) -> SessionProbe {
        let call = self.sts.get_session_token().duration_seconds(SHORTEST_SESSION_S);
        let minted = send!(call, for_tenant!(aws_sdk_sts, credential).region(credential.sdk_home_region()));
        let session = match minted {
            Ok(answer) => answer.credentials,
            Err(failure) => return SessionProbe { minted: Err(failure), used: None },
        };
        let Some(session) = session else { return SessionProbe { minted: Ok(()), used: None } };
        let keys = Credentials::new(
            session.access_key_id,
            session.secret_access_key,
            Some(session.session_token),
            None,
            "TenantSession",
        );
        let overrides = aws_sdk_sesv2::Config::builder()
            .credentials_provider(SharedCredentialsProvider::new(keys))
            .region(credential.sdk_region())
            .identity_cache(aws_sdk_sesv2::config::IdentityCache::no_cache());
        let used = send!(self.ses.get_account(), overrides).map(drop);
        SessionProbe { minted: Ok(()), used: Some(used) }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::runtime::Environment;
    use crate::tenant::{Region, SecretAccessKey};
    use crate::testing::fake_aws;

    fn credential() -> Credential {
        Credential {
            access_key_id: AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap(),
            secret_access_key: SecretAccessKey::from_pasted("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ+/01").unwrap(),
            region: Region::parse("eu-central-1").unwrap(),
        }
    }

    /// What each probe sends names nothing that exists: the impossible key id, or a name of ours. The own user is named
    /// only beside one of them, or where the call changes nothing.
    #[tokio::test]
    async fn each_probe_is_harmless_by_construction() {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&sent);
        let http = fake_aws(move |request| {
            seen.lock().unwrap().push(request.body);
            let xml = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
            std::future::ready((403, xml.to_owned()))
        });
        let clients = Clients::new(&Environment::from_variables(&[]), &http);
        let key = credential();
        clients.probe_update_access_key(&key, "mailer").await.unwrap_err();
        clients.probe_attach_user_policy(&key, "mailer", "171436882533", "probe-1").await.unwrap_err();
        clients.probe_add_user_to_group(&key, "mailer", "probe-1").await.unwrap_err();
        clients.probe_update_login_profile(&key, "mailer").await.unwrap_err();
        clients.probe_create_access_key(&key, "probe-1").await.unwrap_err();
        clients.probe_put_user_policy(&key, "probe-1").await.unwrap_err();
        clients.probe_list_access_keys(&key, "mailer").await.unwrap_err();
        let session = clients.probe_session(&key).await;
        assert!(session.minted.is_err() && session.used.is_none());
        let version = "&Version=2010-05-08";
        let expected = [
            format!("Action=UpdateAccessKey{version}&UserName=mailer&AccessKeyId=AKIA7777777777777777&Status=Active"),
            format!(
                "Action=AttachUserPolicy{version}&UserName=mailer&PolicyArn=arn%3Aaws%3Aiam%3A%3A171436882533%3Apolicy%2Fprobe-1"
            ),
            format!("Action=AddUserToGroup{version}&GroupName=probe-1&UserName=mailer"),
            format!("Action=UpdateLoginProfile{version}&UserName=mailer"),
            format!("Action=CreateAccessKey{version}&UserName=probe-1"),
            format!(
                "Action=PutUserPolicy{version}&UserName=probe-1&PolicyName=probe-1&PolicyDocument=%7B%22Version%22%3A%222012-10-17%22%2C%22Statement%22%3A%5B%7B%22Effect%22%3A%22Deny%22%2C%22Action%22%3A%22%2A%22%2C%22Resource%22%3A%22%2A%22%7D%5D%7D"
            ),
            format!("Action=ListAccessKeys{version}&UserName=mailer"),
            "Action=GetSessionToken&Version=2011-06-15&DurationSeconds=900".to_owned(),
        ];
        assert_eq!(*sent.lock().unwrap(), expected);
    }

    /// A session is used once, for a read, and nothing of it leaves the call.
    #[tokio::test]
    async fn a_minted_session_is_used_once_and_not_kept() {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&sent);
        let http = fake_aws(move |request| {
            let answer = if request.body.contains("GetSessionToken") {
                "<GetSessionTokenResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetSessionTokenResult><Credentials><AccessKeyId>ASIAY34FZKBOKMUTVV7A</AccessKeyId><SecretAccessKey>SESSIONMARKER</SecretAccessKey><SessionToken>TOKENMARKER</SessionToken><Expiration>2026-11-23T10:15:00Z</Expiration></Credentials></GetSessionTokenResult></GetSessionTokenResponse>"
            } else {
                "{}"
            };
            seen.lock().unwrap().push(request.uri);
            std::future::ready((200, answer.to_owned()))
        });
        let probe = Clients::new(&Environment::from_variables(&[]), &http).probe_session(&credential()).await;
        assert!(probe.minted.is_ok() && matches!(probe.used, Some(Ok(()))), "{probe:?}");
        assert!(!format!("{probe:?}").contains("MARKER"));
        let sent = sent.lock().unwrap();
        assert_eq!(
            *sent,
            ["https://sts.us-east-1.amazonaws.com/", "https://email.eu-central-1.amazonaws.com/v2/email/account"]
        );
    }
}
