//! Finds the route of a request (API Gateway developer guide, "Create routes for HTTP APIs in API Gateway": the most specific
//! match wins; a path without variables comes before one with variables, a greedy variable comes last).

use std::collections::BTreeMap;

use axum::http::Method;

use super::path::{decode, segments};
use crate::serverless::{Authorizer, FunctionResource};

/// All routes of the API.
#[derive(Debug)]
pub(super) struct RouteTable {
    routes: Vec<ApiRoute>,
}

/// A route and the function behind it.
#[derive(Debug)]
pub(super) struct ApiRoute {
    /// `METHOD /path`, as the event names it.
    pub(super) key: String,
    /// The name of the function that serves it.
    pub(super) function: String,
    /// How requests are authorized.
    pub(super) authorizer: Authorizer,
    method: String,
    pattern: Vec<Segment>,
}

/// The route of a request, and the values of its path variables.
#[derive(Debug)]
pub(super) struct RouteMatch<'a> {
    /// The route.
    pub(super) route: &'a ApiRoute,
    /// The decoded values of the path variables, by name.
    pub(super) parameters: BTreeMap<String, String>,
}

/// A segment of a route's path.
#[derive(Debug)]
enum Segment {
    Fixed(String),
    Variable(String),
    Greedy(String),
}

impl ApiRoute {
    /// The specificity of the route; a lower rank is more specific.
    fn rank(&self) -> (Vec<(u8, &str)>, bool) {
        (shape(&self.pattern), self.method == "ANY")
    }
}

impl RouteTable {
    /// The routes of all functions.
    ///
    /// # Errors
    /// Two routes match the same requests, or the path of a route is not valid.
    pub(super) fn new<'a>(functions: impl Iterator<Item = &'a FunctionResource>) -> Result<Self, String> {
        let mut routes: Vec<ApiRoute> = Vec::new();
        for function in functions {
            for route in &function.routes {
                let pattern = parse_pattern(&route.path)?;
                let method = route.method.clone();
                let same = |other: &&ApiRoute| other.method == method && shape(&other.pattern) == shape(&pattern);
                if let Some(other) = routes.iter().find(same) {
                    return Err(format!(
                        "the routes {} and {method} {} are the same: they match the same requests",
                        other.key, route.path
                    ));
                }
                routes.push(ApiRoute {
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

    /// Whether there is a route with this key.
    pub(super) fn has(&self, key: &str) -> bool {
        self.routes.iter().any(|route| route.key == key)
    }

    /// The route for a request, if there is one.
    pub(super) fn find(&self, method: &Method, path: &str) -> Option<RouteMatch<'_>> {
        let segments: Vec<&str> = segments(path).collect();
        self.routes
            .iter()
            .filter(|route| route.method == "ANY" || route.method == method.as_str())
            .filter_map(|route| Some(RouteMatch { route, parameters: match_pattern(&route.pattern, &segments)? }))
            .min_by(|one, other| one.route.rank().cmp(&other.route.rank()))
    }
}

fn parse_pattern(path: &str) -> Result<Vec<Segment>, String> {
    let mut pattern = Vec::new();
    for segment in segments(path) {
        if matches!(pattern.last(), Some(Segment::Greedy(_))) {
            return Err(format!("in {path}, a segment follows the greedy variable"));
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

/// The values of the path variables, if the path matches the pattern.
fn match_pattern(pattern: &[Segment], segments: &[&str]) -> Option<BTreeMap<String, String>> {
    let mut parameters = BTreeMap::new();
    let mut rest = segments;
    for expected in pattern {
        match expected {
            Segment::Greedy(name) if !rest.is_empty() => {
                parameters.insert(name.clone(), decode(&rest.join("/")));
                return Some(parameters);
            }
            Segment::Greedy(_) => return None,
            Segment::Fixed(_) | Segment::Variable(_) => {}
        }
        let (segment, others) = rest.split_first()?;
        rest = others;
        match expected {
            Segment::Fixed(text) if *text != decode(segment) => return None,
            // The value of a variable is never empty.
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
    use crate::lambda::fixtures::function;
    use crate::serverless::RouteResource;

    fn table(routes: &[&str]) -> Result<RouteTable, String> {
        let route = |key: &&str| {
            let (method, path) = key.split_once(' ').unwrap();
            RouteResource { method: method.to_owned(), path: path.to_owned(), authorizer: Authorizer::AwsIam }
        };
        let function = FunctionResource { routes: routes.iter().map(route).collect(), ..function("f") };
        RouteTable::new([function].iter())
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
