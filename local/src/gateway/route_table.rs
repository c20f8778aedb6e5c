//! Which route a request is for (API Gateway developer guide, "Create routes for HTTP APIs in API Gateway": the most specific
//! match wins, a path without variables before one with, a greedy variable last).

use std::collections::BTreeMap;

use axum::http::Method;

use super::path::{decode, segments};
use crate::template::stack::{Authorizer, Function};

/// All routes of the API.
#[derive(Debug)]
pub(super) struct RouteTable {
    routes: Vec<Target>,
}

/// A route and the function behind it.
#[derive(Debug)]
pub(super) struct Target {
    /// `METHOD /path`, as the event names it.
    pub(super) key: String,
    /// The function's name.
    pub(super) function: String,
    /// Who is let in.
    pub(super) authorizer: Authorizer,
    method: String,
    pattern: Vec<Segment>,
}

/// A route that was found, and what its variables stand for.
#[derive(Debug)]
pub(super) struct Found<'a> {
    /// The route.
    pub(super) route: &'a Target,
    /// The path variables, decoded.
    pub(super) parameters: BTreeMap<String, String>,
}

/// A segment of a route's path.
#[derive(Debug)]
enum Segment {
    Fixed(String),
    Variable(String),
    Greedy(String),
}

impl Target {
    /// Lower is more specific.
    fn rank(&self) -> (Vec<(u8, &str)>, bool) {
        (shape(&self.pattern), self.method == "ANY")
    }
}

impl RouteTable {
    /// The routes of all functions.
    ///
    /// # Errors
    /// Two routes that match the same requests, or a path that cannot be read.
    pub(super) fn new(functions: &[Function]) -> Result<Self, String> {
        let mut routes: Vec<Target> = Vec::new();
        for function in functions {
            for route in &function.routes {
                let pattern = parse(&route.path)?;
                let method = route.method.clone();
                let same = |other: &&Target| other.method == method && shape(&other.pattern) == shape(&pattern);
                if let Some(other) = routes.iter().find(same) {
                    return Err(format!("the routes {} and {method} {} are the same", other.key, route.path));
                }
                routes.push(Target {
                    key: format!("{method} {}", route.path),
                    function: function.name.clone(),
                    authorizer: route.authorizer,
                    method,
                    pattern,
                });
            }
        }
        Ok(Self { routes })
    }

    /// The route for a request, if there is one.
    pub(super) fn find(&self, method: &Method, path: &str) -> Option<Found<'_>> {
        let segments: Vec<&str> = segments(path).collect();
        self.routes
            .iter()
            .filter(|route| route.method == "ANY" || route.method == method.as_str())
            .filter_map(|route| Some(Found { route, parameters: matches(&route.pattern, &segments)? }))
            .min_by(|one, other| one.route.rank().cmp(&other.route.rank()))
    }
}

fn parse(path: &str) -> Result<Vec<Segment>, String> {
    let mut pattern = Vec::new();
    for segment in segments(path) {
        if matches!(pattern.last(), Some(Segment::Greedy(_))) {
            return Err(format!("in {path}, something follows the greedy variable"));
        }
        pattern.push(match segment.strip_prefix('{').and_then(|segment| segment.strip_suffix('}')) {
            Some(name) => match name.strip_suffix('+') {
                Some(name) => Segment::Greedy(name.to_owned()),
                None => Segment::Variable(name.to_owned()),
            },
            None if segment.contains(['{', '}']) => return Err(format!("{path} has a variable inside a segment")),
            None => Segment::Fixed(segment.to_owned()),
        });
    }
    Ok(pattern)
}

/// A pattern without the names of its variables.
fn shape(pattern: &[Segment]) -> Vec<(u8, &str)> {
    pattern
        .iter()
        .map(|segment| match segment {
            Segment::Fixed(text) => (0, text.as_str()),
            Segment::Variable(_) => (1, ""),
            Segment::Greedy(_) => (2, ""),
        })
        .collect()
}

fn matches(pattern: &[Segment], segments: &[&str]) -> Option<BTreeMap<String, String>> {
    let mut parameters = BTreeMap::new();
    let mut rest = segments;
    for part in pattern {
        match part {
            Segment::Greedy(name) if !rest.is_empty() => {
                parameters.insert(name.clone(), decode(&rest.join("/")));
                return Some(parameters);
            }
            Segment::Greedy(_) => return None,
            Segment::Fixed(_) | Segment::Variable(_) => {}
        }
        let (segment, left) = rest.split_first()?;
        rest = left;
        match part {
            Segment::Fixed(text) if *text != decode(segment) => return None,
            // A variable stands for something.
            Segment::Variable(_) if segment.is_empty() => return None,
            Segment::Variable(name) => drop(parameters.insert(name.clone(), decode(segment))),
            Segment::Fixed(_) | Segment::Greedy(_) => {}
        }
    }
    rest.is_empty().then_some(parameters)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::stack::Route;

    fn table(routes: &[&str]) -> Result<RouteTable, String> {
        let route = |key: &&str| {
            let (method, path) = key.split_once(' ').unwrap();
            Route { method: method.to_owned(), path: path.to_owned(), authorizer: Authorizer::AwsIam }
        };
        let function = super::super::tests::function("f", routes.iter().map(route).collect());
        RouteTable::new(&[function])
    }

    fn find(table: &RouteTable, method: Method, path: &str) -> Option<(String, Vec<(String, String)>)> {
        let found = table.find(&method, path)?;
        Some((found.route.key.clone(), found.parameters.into_iter().collect()))
    }

    #[test]
    fn the_most_specific_route_is_taken() {
        let table = table(&[
            "GET /providers",
            "GET /providers/{id}",
            "GET /providers/all",
            "ANY /providers/{id}",
            "GET /providers/{id}/mails/{mail}",
            "ANY /{proxy+}",
        ])
        .unwrap();
        let cases = [
            (Method::GET, "/providers", "GET /providers", ""),
            (Method::GET, "/providers/all", "GET /providers/all", ""),
            (Method::GET, "/providers/prv_1", "GET /providers/{id}", "id=prv_1"),
            (Method::DELETE, "/providers/prv_1", "ANY /providers/{id}", "id=prv_1"),
            (Method::GET, "/providers/a%2Fb/mails/c%20d", "GET /providers/{id}/mails/{mail}", "id=a/b mail=c d"),
            (Method::POST, "/x/y", "ANY /{proxy+}", "proxy=x/y"),
            (Method::GET, "/providers/", "ANY /{proxy+}", "proxy=providers/"),
        ];
        for (method, path, key, parameters) in cases {
            let (found, values) = find(&table, method, path).unwrap();
            let values: Vec<String> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!((found.as_str(), values.join(" ").as_str()), (key, parameters), "{path}");
        }
    }

    #[test]
    fn another_method_or_path_is_not_found() {
        let table = table(&["GET /providers", "GET /providers/{id}"]).unwrap();
        for (method, path) in [
            (Method::POST, "/providers"),
            (Method::GET, "/"),
            (Method::GET, "/providers/"),
            (Method::GET, "/providers/a/b"),
            (Method::GET, "/Providers"),
        ] {
            assert_eq!(find(&table, method, path), None, "{path}");
        }
    }

    #[test]
    fn routes_that_only_differ_in_the_names_of_variables_are_refused() {
        assert!(table(&["GET /a/{x}", "GET /a/{y}"]).unwrap_err().contains("are the same"));
        assert!(table(&["GET /{x+}/a"]).is_err());
        assert!(table(&["GET /a{x}"]).is_err());
        assert!(table(&["GET /a/{x}", "POST /a/{x}"]).is_ok());
    }
}
