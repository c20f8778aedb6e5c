//! Every function answers exactly the routes that the template gives it, and some of them are open to everybody.

use std::collections::BTreeSet;

use super::stack;
use crate::serverless::{Authorizer, FunctionResource};

#[test]
fn every_function_answers_exactly_its_routes_of_the_template() {
    let stack = stack();
    for function in stack.all::<FunctionResource>() {
        let answered: BTreeSet<String> = match function.binary.as_str() {
            "verify" => verify::ROUTES,
            "revoke" => revoke::ROUTES,
            // No HTTP route reaches a function that can open a tenant's secret.
            "send" | "verify-worker" | "revoke-worker" => &[],
            binary => panic!("{binary} is a new function: say here which routes it answers"),
        }
        .iter()
        .map(|route| (*route).to_owned())
        .collect();
        let routed: BTreeSet<String> =
            function.routes.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
        assert_eq!(routed, answered, "{}", function.logical_id);
    }
}

#[test]
fn webhooks_and_the_onboarding_page_alone_are_taken_without_an_iam_signature() {
    let stack = stack();
    let routes = stack.all::<FunctionResource>().flat_map(|function| &function.routes);
    let open: Vec<String> = routes
        .filter(|route| route.authorizer != Authorizer::AwsIam)
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    let page = [
        "GET /connect/assets/{asset}",
        "GET /connect/{link_id}",
        "POST /connect/{link_id}/session",
        "POST /connect/{link_id}/key",
        "POST /connect/{link_id}/verification",
        "GET /connect/{link_id}/progress",
    ];
    assert_eq!(open, [&page[..], &["POST /webhooks/{name}"]].concat());
}
