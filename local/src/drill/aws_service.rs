//! The services that a drill asks, and where they are.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use shared::tenant::Region;

/// A service that a drill asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum AwsService {
    CloudFormation,
    Iam,
    Ses,
    Sqs,
    Sts,
}

/// The endpoints that the standard variables name in place of AWS's own (AWS SDKs and tools reference guide, "Service-specific
/// endpoints").
#[derive(Clone, Debug, Default)]
pub(super) struct EndpointOverrides(BTreeMap<String, String>);

impl AwsService {
    /// Its name in the variables of endpoints.
    fn variable(self) -> &'static str {
        match self {
            Self::CloudFormation => "AWS_ENDPOINT_URL_CLOUDFORMATION",
            Self::Iam => "AWS_ENDPOINT_URL_IAM",
            Self::Ses => "AWS_ENDPOINT_URL_SESV2",
            Self::Sqs => "AWS_ENDPOINT_URL_SQS",
            Self::Sts => "AWS_ENDPOINT_URL_STS",
        }
    }

    /// Its name in signatures.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::CloudFormation => "cloudformation",
            Self::Iam => "iam",
            Self::Ses => "ses",
            Self::Sqs => "sqs",
            Self::Sts => "sts",
        }
    }

    /// The version of its query API; the services with JSON have none.
    pub(super) fn version(self) -> &'static str {
        match self {
            Self::CloudFormation => "2010-05-15",
            Self::Iam => "2010-05-08",
            Self::Sts => "2011-06-15",
            Self::Ses | Self::Sqs => "",
        }
    }

    /// Endpoint and signing Region (AWS General Reference, "Service endpoints and quotas"). IAM has one endpoint for its
    /// partition.
    pub(super) fn place(self, region: Region) -> Result<(String, &'static str)> {
        let here = region.as_str();
        Ok(match (self, region.partition()) {
            (Self::Iam, "aws") => ("https://iam.amazonaws.com".to_owned(), "us-east-1"),
            (Self::Iam, "aws-us-gov") => ("https://iam.us-gov.amazonaws.com".to_owned(), "us-gov-west-1"),
            (Self::Ses, "aws" | "aws-us-gov") => (format!("https://email.{here}.amazonaws.com"), here),
            (_, "aws" | "aws-us-gov") => (format!("https://{}.{here}.amazonaws.com", self.name()), here),
            (_, partition) => bail!(
                "the endpoints of the partition {partition} are not known here: set AWS_ENDPOINT_URL and the variables of \
                 single services, {} first",
                self.variable()
            ),
        })
    }
}

impl EndpointOverrides {
    /// Those that are set.
    pub(super) fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let services = [AwsService::CloudFormation, AwsService::Iam, AwsService::Ses, AwsService::Sqs, AwsService::Sts];
        let names = services.iter().map(|service| service.variable()).chain(["AWS_ENDPOINT_URL"]);
        Self(
            names
                .filter_map(|name| Some((name.to_owned(), variable(name)?)))
                .map(|(name, url)| (name, url.trim_end_matches('/').to_owned()))
                .collect(),
        )
    }

    /// The endpoint of a service; `None` for AWS's own.
    pub(super) fn of(&self, service: AwsService) -> Option<&str> {
        self.0.get(service.variable()).or_else(|| self.0.get("AWS_ENDPOINT_URL")).map(String::as_str)
    }

    /// Any of them.
    pub(super) fn any(&self) -> Option<&str> {
        self.0.values().next().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_of_a_service_goes_before_the_one_for_all() {
        let endpoints = EndpointOverrides::from_variables(|name| {
            let url = match name {
                "AWS_ENDPOINT_URL" => "http://127.0.0.1:4566/",
                "AWS_ENDPOINT_URL_IAM" => "http://127.0.0.1:1",
                _ => return None,
            };
            Some(url.to_owned())
        });
        assert_eq!(endpoints.of(AwsService::Iam), Some("http://127.0.0.1:1"));
        assert_eq!(endpoints.of(AwsService::Ses), Some("http://127.0.0.1:4566"));
    }

    #[test]
    fn each_service_has_its_endpoint_and_signing_region() {
        let place = |service: AwsService, region: &str| service.place(Region::parse(region).unwrap());
        let cases = [
            (AwsService::Iam, "eu-central-1", "https://iam.amazonaws.com", "us-east-1"),
            (AwsService::Iam, "us-gov-west-1", "https://iam.us-gov.amazonaws.com", "us-gov-west-1"),
            (AwsService::Ses, "eu-central-1", "https://email.eu-central-1.amazonaws.com", "eu-central-1"),
            (AwsService::Sts, "eu-central-1", "https://sts.eu-central-1.amazonaws.com", "eu-central-1"),
            (AwsService::CloudFormation, "us-east-1", "https://cloudformation.us-east-1.amazonaws.com", "us-east-1"),
        ];
        for (service, region, endpoint, signed_for) in cases {
            assert_eq!(place(service, region).unwrap(), (endpoint.to_owned(), signed_for));
        }
    }
}
