//! The actions that AWS has, as far as they matter here: all of SES, IAM and STS, and the sensitive ones of the other
//! services.
//!
//! The head of `data/catalogue.txt` names its source, version and date.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::LazyLock;

use crate::access_level::AccessLevel;
use crate::severity::{Severity, rate};

/// The catalogue that is built into the crate.
pub(crate) static CATALOGUE: LazyLock<Catalogue> = LazyLock::new(|| Catalogue::parse(TEXT));

const TEXT: &str = include_str!("../data/catalogue.txt");

#[derive(Debug)]
pub(crate) struct Catalogue {
    services: BTreeMap<&'static str, Service>,
    /// Services that exist but have no listed action.
    prefixes: BTreeSet<&'static str>,
    resource_types: Vec<ResourceTypes>,
}

#[derive(Debug)]
pub(crate) struct Service {
    /// Whether all actions of the service are listed.
    pub(crate) whole: bool,
    pub(crate) actions: Vec<Action>,
}

#[derive(Debug)]
pub(crate) struct Action {
    /// `ses:SendEmail`, as AWS writes it.
    pub(crate) name: String,
    pub(crate) service: &'static str,
    /// The name without service, in lower case.
    pub(crate) lower: String,
    pub(crate) level: AccessLevel,
    pub(crate) severity: Severity,
    /// Index of its [`ResourceTypes`].
    pub(crate) resource_types: usize,
}

/// The resources that an action can be called on.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct ResourceTypes {
    /// ARN formats of the resource types, as in the Service Authorization Reference.
    pub(crate) arns: Vec<&'static str>,
    /// Whether the action can be called without a resource. Only `Resource: "*"` covers such a call.
    pub(crate) allows_star: bool,
    /// Whether a star in one of the first five fields may reach over colons into the name. For SES, IAM and STS it does
    /// not: those fields have a fixed form there (no Region or one, twelve digits), and IAM checks the path of such a
    /// pattern after its fifth colon on writing (the list of paths in its error message, recorded in moto's test
    /// vectors). Their names may still contain colons: an IAM path takes any character from `!` to DEL (AWS: IAM API
    /// reference, `pathType`).
    pub(crate) wide_stars: bool,
}

/// How many actions of a service the catalogue lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// All actions are listed.
    Whole,
    /// The service exists, but only its sensitive actions are listed, or none at all.
    Part,
    /// There is no such service, or it is newer than the catalogue.
    None,
}

impl Catalogue {
    fn parse(text: &'static str) -> Self {
        let mut services: BTreeMap<&'static str, Service> = BTreeMap::new();
        let mut prefixes = BTreeSet::new();
        let mut resource_types = Vec::new();
        let mut indices: HashMap<(Vec<&'static str>, bool, bool), usize> = HashMap::new();
        let mut current = "";
        let mut arn_formats: HashMap<&'static str, &'static str> = HashMap::new();
        for line in text.lines() {
            let mut fields = line.split(' ');
            match (fields.next(), fields.next(), fields.next()) {
                (Some("service"), Some(prefix), Some(coverage)) => {
                    current = prefix;
                    arn_formats.clear();
                    services.insert(prefix, Service { whole: coverage == "whole", actions: Vec::new() });
                }
                (Some("resource"), Some(name), Some(arn)) => {
                    arn_formats.insert(name, arn);
                }
                (Some("action"), Some(name), Some(level)) => {
                    let Some(service) = services.get_mut(current) else { continue };
                    let uses: Vec<&str> = fields.collect();
                    let arns: Vec<&'static str> =
                        uses.iter().filter_map(|kind| arn_formats.get(kind.trim_end_matches('!')).copied()).collect();
                    let allows_star = !uses.iter().any(|kind| kind.ends_with('!'));
                    let wide_stars = !service.whole;
                    let index = *indices.entry((arns.clone(), allows_star, wide_stars)).or_insert_with(|| {
                        resource_types.push(ResourceTypes { arns, allows_star, wide_stars });
                        resource_types.len() - 1
                    });
                    let level = AccessLevel::from_letter(level);
                    let lower = name.to_ascii_lowercase();
                    let severity = rate(current, &lower, Some(level));
                    service.actions.push(Action {
                        name: format!("{current}:{name}"),
                        service: current,
                        lower,
                        level,
                        severity,
                        resource_types: index,
                    });
                }
                (Some("prefixes"), ..) => prefixes.extend(line.split(' ').skip(1)),
                _ => {}
            }
        }
        Self { services, prefixes, resource_types }
    }

    pub(crate) fn services(&self) -> impl Iterator<Item = (&'static str, &Service)> {
        self.services.iter().map(|(prefix, service)| (*prefix, service))
    }

    /// The listed actions of a service.
    pub(crate) fn actions(&self, service: &str) -> impl Iterator<Item = &Action> {
        self.services.get(service).into_iter().flat_map(|service| &service.actions)
    }

    /// The resources that the action can be called on.
    pub(crate) fn resource_types(&self, action: &Action) -> &ResourceTypes {
        &self.resource_types[action.resource_types]
    }

    pub(crate) fn coverage(&self, service: &str) -> Coverage {
        match self.services.get(service) {
            Some(service) if service.whole => Coverage::Whole,
            Some(_) => Coverage::Part,
            None if self.prefixes.contains(service) => Coverage::Part,
            None => Coverage::None,
        }
    }

    /// The listed action with this service and lower-case name.
    pub(crate) fn find(&self, service: &str, lower: &str) -> Option<&Action> {
        self.actions(service).find(|action| action.lower == lower)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_services_are_whole() {
        for (service, count) in [("ses", 226), ("iam", 187), ("sts", 16)] {
            assert_eq!(CATALOGUE.coverage(service), Coverage::Whole);
            assert_eq!(
                CATALOGUE.services[service].actions.len(),
                count,
                "{service}: read the difference before changing this number"
            );
        }
        assert_eq!(CATALOGUE.coverage("s3"), Coverage::Part);
        assert_eq!(CATALOGUE.coverage("sesv2"), Coverage::None);
    }

    #[test]
    fn the_catalogue_names_its_source_and_date() {
        for key in ["source", "version", "date"] {
            assert!(TEXT.lines().any(|line| line.starts_with(&format!("# {key}: "))), "{key}");
        }
        let count: usize = CATALOGUE.services().map(|(_, service)| service.actions.len()).sum();
        assert_eq!(count, TEXT.lines().filter(|line| line.starts_with("action ")).count());
    }

    #[test]
    fn an_action_without_resource_types_is_only_called_on_the_star() {
        let action = CATALOGUE.find("ses", "getaccount").unwrap();
        assert_eq!(
            *CATALOGUE.resource_types(action),
            ResourceTypes { arns: vec![], allows_star: true, wide_stars: false }
        );
        let user = CATALOGUE.resource_types(CATALOGUE.find("iam", "getuser").unwrap());
        assert_eq!(
            (user.arns.as_slice(), user.allows_star),
            (["arn:${Partition}:iam::${Account}:user/${UserNameWithPath}"].as_slice(), false)
        );
    }
}
